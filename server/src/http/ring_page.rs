//! `/ring` for programs and for people.

use std::fmt::Write;

use ring::{ClusterSnapshot, Instance};
use serde::Serialize;

/// The cluster as `/ring` shows it.
#[derive(Debug, Serialize)]
pub(super) struct RingView {
    cluster_id: String,
    version: u64,
    replication_factor: usize,
    instances: Vec<InstanceView>,
}

#[derive(Debug, Serialize)]
struct InstanceView {
    #[serde(flatten)]
    instance: Instance,
    /// Share of all replicas of all series that this ingester holds, 0 to 1; absent for other roles.
    #[serde(skip_serializing_if = "Option::is_none")]
    ownership: Option<f64>,
}

pub(super) fn view(snapshot: &ClusterSnapshot, replication_factor: usize) -> RingView {
    let ring = ring::Ring::of_role(snapshot, ring::Role::Ingester, replication_factor);
    let owners = || ring.instances().iter().zip(ring.ownership());
    let share = |instance: &Instance| owners().find(|(owner, _)| owner.id == instance.id).map(|(_, share)| *share);
    let instances = snapshot
        .instances
        .iter()
        .map(|instance| InstanceView {
            ownership: if instance.role == ring::Role::Ingester { share(instance) } else { None },
            instance: instance.clone(),
        })
        .collect();
    RingView { cluster_id: snapshot.cluster_id.clone(), version: snapshot.version, replication_factor, instances }
}

/// The look of all admin pages; no script, nothing from elsewhere.
pub(super) const STYLE: &str = "<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem;color:#1b2733}table{border-collapse:collapse}\
td,th{padding:.3rem .9rem;border-bottom:1px solid #d5dde3;text-align:left}code{background:#eef2f4;padding:0 .3rem}\
.ACTIVE{color:#1a7f37}.JOINING,.LEAVING{color:#9a6700}.UNHEALTHY{color:#cf222e}\
@media(prefers-color-scheme:dark){body{background:#12181d;color:#d5dde3}td,th{border-color:#33414c}code{background:#22303a}}</style>";

pub(super) fn html(view: &RingView, now_ms: i64) -> String {
    let mut rows = String::new();
    for InstanceView { instance, ownership } in &view.instances {
        let share = ownership.map_or(String::new(), |share| format!("{:.1} %", share * 100.0));
        let age = (now_ms - instance.registered_at_ms).max(0) / 1_000;
        // Writing to a String cannot fail.
        let _ = write!(
            rows,
            "<tr><td>{id}</td><td>{role}</td><td>{zone}</td><td>{address}</td><td class=\"{state}\">{state}</td><td>{epoch}</td><td>{share}</td><td>{age}</td></tr>",
            id = escape(instance.id.as_str()),
            role = instance.role,
            zone = escape(&instance.zone),
            address = escape(&instance.address),
            state = instance.state.as_str(),
            epoch = instance.epoch,
            age = duration(age),
        );
    }
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Ring – Plimsoll</title>{STYLE}</head><body><h1>Ring</h1>\
         <p>Cluster <code>{cluster}</code>, version {version}, {rf} {copies} of each series.</p>\
         <table><thead><tr><th>Instance</th><th>Role</th><th>Zone</th><th>Address</th><th>State</th><th>Epoch</th><th>Owns</th><th>Registered</th></tr></thead>\
         <tbody>{rows}</tbody></table><p><a href=\"/ring?format=json\">JSON</a></p></body></html>",
        cluster = escape(&view.cluster_id),
        version = view.version,
        rf = view.replication_factor,
        copies = if view.replication_factor == 1 { "copy" } else { "copies" },
    )
}

fn duration(seconds: i64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s ago"),
        120..=7_199 => format!("{} min ago", seconds / 60),
        7_200..=172_799 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(super::escape("<img src=\"x\">&"), "&lt;img src=&quot;x&quot;&gt;&amp;");
    }
}
