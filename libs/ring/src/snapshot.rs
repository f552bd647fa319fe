//! All instances at one version.

use serde::{Deserialize, Serialize};

use crate::domain::{self, Domain};
use crate::instance::{Instance, InstanceState, Role};

/// What the coordinator knows about the cluster at one version. Roles work on with the last one that they saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSnapshot {
    /// Made once, when the Raft group is formed; two clusters never merge.
    pub cluster_id: String,
    /// Grows with every change; a watcher never goes back.
    pub version: u64,
    /// All instances, ordered by role and id.
    pub instances: Vec<Instance>,
}

impl ClusterSnapshot {
    /// The instances of a role.
    pub fn of_role(&self, role: Role) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(move |instance| instance.role == role)
    }

    /// The failure domain that would have no ingester any more without this one, if there would be fewer domains than copies then and are not now: series would have a copy less.
    #[must_use]
    pub fn domain_emptied_without(&self, ingester: &str, copies: usize) -> Option<Domain<'_>> {
        let here = || self.of_role(Role::Ingester).filter(|instance| instance.state != InstanceState::Gone);
        let leaving = here().find(|instance| instance.id.as_str() == ingester)?.domain();
        let alone = here().filter(|instance| instance.domain() == leaving).count() == 1;
        (copies > 1 && alone && domain::count(here()) == copies).then_some(leaving)
    }
}

#[cfg(test)]
mod tests {
    use super::ClusterSnapshot;
    use crate::domain::Domain;
    use crate::instance::{Instance, InstanceState};
    use crate::ring::tests::instance;

    fn snapshot(instances: Vec<Instance>) -> ClusterSnapshot {
        ClusterSnapshot { cluster_id: "c".to_owned(), version: 1, instances }
    }

    #[test]
    fn the_last_of_a_zone_is_told_where_zones_are_as_many_as_copies() {
        let all = vec![instance("a-0", "a"), instance("a-1", "a"), instance("b-0", "b"), instance("c-0", "c")];
        let three = snapshot(all.clone());
        assert_eq!(three.domain_emptied_without("c-0", 3), Some(Domain::Zone("c")));
        assert_eq!(three.domain_emptied_without("a-0", 3), None, "another one stays");
        assert_eq!(three.domain_emptied_without("c-0", 1), None, "one copy is in one zone");
        assert_eq!(three.domain_emptied_without("nobody", 3), None);
        let mut gone = all.clone();
        gone[1].state = InstanceState::Gone;
        assert_eq!(snapshot(gone).domain_emptied_without("a-0", 3), Some(Domain::Zone("a")), "the other one holds nothing any more");
        let four: Vec<Instance> = all.into_iter().chain([instance("d-0", "d")]).collect();
        assert_eq!(snapshot(four.clone()).domain_emptied_without("d-0", 3), None, "three zones are left");
        assert_eq!(snapshot(four[..3].to_vec()).domain_emptied_without("b-0", 3), None, "there are not enough zones as it is");
    }
}
