//! Storing rule groups, as Grafana and mimirtool do.

use std::fmt::Write;

use crate::client::Client;

/// The rules API of one server.
pub struct RulesApi {
    client: Client,
    base: String,
    tenant: Option<String>,
}

impl RulesApi {
    /// The API below `path` (`/prometheus/config/v1/rules`).
    #[must_use]
    pub fn new(client: &Client, path: &str) -> Self {
        Self { client: client.clone(), base: format!("{}{path}", client.base()), tenant: None }
    }

    /// For a tenant.
    #[must_use]
    pub fn of(mut self, tenant: &str) -> Self {
        self.tenant = Some(tenant.to_owned());
        self
    }

    /// GET of everything, a namespace, or a namespace's group; status and body.
    pub async fn get(&self, names: &[&str]) -> anyhow::Result<(u16, String)> {
        self.send(self.client.http().get(self.url(names))).await
    }

    /// Stores a group.
    pub async fn post(&self, namespace: &str, group: &str) -> anyhow::Result<(u16, String)> {
        let post = self.client.http().post(self.url(&[namespace])).header("Content-Type", "application/yaml");
        self.send(post.body(group.to_owned())).await
    }

    /// Deletes a namespace or a group.
    pub async fn delete(&self, names: &[&str]) -> anyhow::Result<(u16, String)> {
        self.send(self.client.http().delete(self.url(names))).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<(u16, String)> {
        let request = match &self.tenant {
            Some(tenant) => request.header("X-Scope-OrgID", tenant),
            None => request,
        };
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Names are escaped byte by byte, `/` as well.
    fn url(&self, names: &[&str]) -> String {
        let mut url = self.base.clone();
        for name in names {
            url.push('/');
            for byte in name.bytes() {
                match byte {
                    b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' | b'~' => url.push(char::from(byte)),
                    _ => drop(write!(url, "%{byte:02X}")),
                }
            }
        }
        url
    }
}
