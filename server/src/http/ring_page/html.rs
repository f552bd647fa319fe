//! The page: no script, nothing from elsewhere.

use std::fmt::Write;

use ring::{InstanceState, Role};

use super::view::{InstanceView, RingView};

/// The look of all admin pages.
pub(in super::super) const STYLE: &str = "<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem;color:#1b2733}table{border-collapse:collapse}\
td,th{padding:.3rem .9rem;border-bottom:1px solid #d5dde3;text-align:left}code{background:#eef2f4;padding:0 .3rem}form{display:inline}\
.ACTIVE{color:#1a7f37}.JOINING,.LEAVING,.READ_ONLY{color:#9a6700}.GONE{color:#57606a}.UNHEALTHY,.warning{color:#cf222e}\
@media(prefers-color-scheme:dark){body{background:#12181d;color:#d5dde3}td,th{border-color:#33414c}code{background:#22303a}}</style>";

const ROLES: [Role; 6] = [Role::Ingester, Role::Distributor, Role::Querier, Role::Ruler, Role::Compactor, Role::Coordinator];

pub(super) fn page(view: &RingView, now_ms: i64) -> String {
    let sections: String = ROLES.iter().map(|role| section(view, *role, now_ms)).collect();
    let warning = match (&view.coordinator_error, view.snapshot_age_seconds > 0.0) {
        (None, false) => String::new(),
        (error, lost) => format!(
            "<p class=\"warning\" role=\"alert\">{}{}</p>",
            if lost {
                format!("The coordinator cannot be reached: this is the cluster of {}. ", duration(view.snapshot_age_seconds as i64))
            } else {
                String::new()
            },
            error.as_ref().map_or(String::new(), |e| format!("Heartbeats and versions are not known: {}.", escape(e)))
        ),
    };
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Ring – Plimsoll</title>{STYLE}</head><body><h1>Ring</h1>\
         <p>Cluster <code>{cluster}</code>, version {version}, {rf} {copies} of each series.</p>{warning}{sections}<p><a href=\"/ring?format=json\">JSON</a></p></body></html>",
        cluster = escape(&view.cluster_id),
        version = view.version,
        rf = view.replication_factor,
        copies = if view.replication_factor == 1 { "copy" } else { "copies" },
    )
}

fn section(view: &RingView, role: Role, now_ms: i64) -> String {
    let rows: String = view.instances.iter().filter(|i| i.instance.role == role).map(|i| row(i, now_ms)).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "<h2>{role}</h2><table><thead><tr><th>Instance</th><th>Zone</th><th>Address</th><th>State</th><th>Owns</th><th>Heartbeat</th>\
         <th>Epoch</th><th>Program</th><th>Registered</th><th></th></tr></thead><tbody>{rows}</tbody></table>"
    )
}

fn row(view: &InstanceView, now_ms: i64) -> String {
    let InstanceView { instance, ownership, heartbeat_age_seconds, program_version, ordered_read_only } = view;
    let mut row = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        row,
        "<tr><td>{id}</td><td>{zone}</td><td>{address}</td><td class=\"{state}\">{state}{ordered}</td><td>{share}</td><td>{heard}</td><td>{epoch}</td><td>{program}</td><td>{age}</td><td>{buttons}</td></tr>",
        id = escape(instance.id.as_str()),
        zone = escape(&instance.zone),
        address = escape(&instance.address),
        state = instance.state.as_str(),
        ordered = if *ordered_read_only { " (by order)" } else { "" },
        share = ownership.map_or(String::new(), |share| format!("{:.1} %", share * 100.0)),
        heard = heartbeat_age_seconds.map_or_else(|| "–".to_owned(), |age| format!("{age:.1} s ago")),
        epoch = instance.epoch,
        program = program_version.as_deref().map_or_else(|| "–".to_owned(), escape),
        age = duration((now_ms - instance.registered_at_ms).max(0) / 1_000),
        buttons = buttons(view),
    );
    row
}

/// What makes sense now: forgetting who is dead, stopping or resuming writes.
fn buttons(view: &InstanceView) -> String {
    let InstanceView { instance, ordered_read_only, .. } = view;
    let button = |action: &str, label: &str| {
        format!(
            "<form method=\"post\" action=\"/ring\"><input type=\"hidden\" name=\"role\" value=\"{role}\"><input type=\"hidden\" name=\"id\" value=\"{id}\">\
             <button name=\"action\" value=\"{action}\">{label}</button></form> ",
            role = instance.role,
            id = escape(instance.id.as_str()),
        )
    };
    let mut buttons = String::new();
    if instance.state == InstanceState::Unhealthy {
        buttons += &button("forget", "Forget");
    }
    if instance.role == Role::Ingester {
        match ordered_read_only {
            true => buttons += &button("active", "Active"),
            false if matches!(instance.state, InstanceState::Active | InstanceState::Joining | InstanceState::Unhealthy) => {
                buttons += &button("read-only", "Read-only");
            }
            false => {}
        }
    }
    buttons
}

fn duration(seconds: i64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s ago"),
        120..=7_199 => format!("{} min ago", seconds / 60),
        7_200..=172_799 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::super::view::tests::example;
    use super::{escape, page};

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<img src=\"x\">&'"), "&lt;img src=&quot;x&quot;&gt;&amp;&#39;");
        assert!(page(&example(true), 1_000).contains("&lt;a&gt;"));
    }

    #[test]
    fn a_person_sees_what_is_wrong_and_can_do_something() {
        let text = page(&example(true), 5_000);
        assert_eq!(text.matches("value=\"forget\"").count(), 1, "only the dead are forgotten");
        assert_eq!(text.matches("value=\"read-only\"").count(), 2);
        assert!(text.contains("1.5 s ago") && text.contains("1.2.3"));
        assert!(text.contains("cannot be reached: this is the cluster of 90 s ago"));
        assert!(page(&example(false), 5_000).contains("not known: no quorum"));
    }
}
