//! The door for people and their tools.

use proto::coordinator as wire;
use proto::coordinator::operator_server::Operator;
use rpc::InstanceInfo;
use rpc::operator_grpc::status_to_wire;
use tonic::{Request, Response, Status};

use super::{Door, member};

fn info_to_wire(info: InstanceInfo) -> wire::InstanceInfo {
    let InstanceInfo { role, id, epoch, silence_ms, version, read_only } = info;
    wire::InstanceInfo { role: role.as_str().to_owned(), id: id.to_string(), epoch, silence_ms, version, read_only }
}

#[tonic::async_trait]
impl Operator for Door {
    /// Also for callers of another cluster: a new member asks before it knows where it belongs.
    async fn status(&self, _: Request<wire::StatusRequest>) -> Result<Response<wire::StatusResponse>, Status> {
        Ok(Response::new(status_to_wire(self.handle.status())))
    }

    async fn instances(&self, request: Request<wire::InstancesRequest>) -> Result<Response<wire::InstancesResponse>, Status> {
        self.check(&request)?;
        let answer = self.handle.instances();
        Self::answer(answer, |all| wire::InstancesResponse { instances: all.into_iter().map(info_to_wire).collect() })
    }

    async fn forget(&self, request: Request<wire::ForgetRequest>) -> Result<Response<wire::OperatorDone>, Status> {
        self.check(&request)?;
        let wire::ForgetRequest { role, id, force } = request.into_inner();
        let (role, id) = member(&role, &id)?;
        Self::answer(self.handle.forget(role, &id, force).await, |()| wire::OperatorDone {})
    }

    async fn order(&self, request: Request<wire::OrderRequest>) -> Result<Response<wire::OperatorDone>, Status> {
        self.check(&request)?;
        let wire::OrderRequest { role, id, read_only } = request.into_inner();
        let (role, id) = member(&role, &id)?;
        Self::answer(self.handle.order(role, &id, read_only).await, |()| wire::OperatorDone {})
    }

    async fn add_member(&self, request: Request<wire::MemberRequest>) -> Result<Response<wire::OperatorDone>, Status> {
        self.check(&request)?;
        let address = address(request.into_inner().address)?;
        Self::answer(self.handle.add_member(&address).await, |()| wire::OperatorDone {})
    }

    async fn remove_member(&self, request: Request<wire::MemberRequest>) -> Result<Response<wire::OperatorDone>, Status> {
        self.check(&request)?;
        let wire::MemberRequest { address: at, force } = request.into_inner();
        let at = address(at)?;
        Self::answer(self.handle.remove_member(&at, force).await, |()| wire::OperatorDone {})
    }

    async fn transfer(&self, request: Request<wire::MemberRequest>) -> Result<Response<wire::OperatorDone>, Status> {
        self.check(&request)?;
        let address = address(request.into_inner().address)?;
        Self::answer(self.handle.transfer(&address).await, |()| wire::OperatorDone {})
    }

    async fn elect(&self, request: Request<wire::ElectRequest>) -> Result<Response<wire::OperatorDone>, Status> {
        self.check(&request)?;
        Self::answer(self.handle.stand_for_election().await, |()| wire::OperatorDone {})
    }
}

fn address(address: String) -> Result<String, Status> {
    proto::convert::coordinator::address_from_wire(address).map_err(super::invalid)
}
