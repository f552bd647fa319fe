//! `docs/http-api.md` and what is served are the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use cluster::deployment::Single;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn page() -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(Path::new(ROOT).join("docs/http-api.md"))?)
}

/// The paths of the query API with their methods, from the table below `## Query`.
fn documented(page: &str) -> anyhow::Result<Vec<(String, String)>> {
    let section = page.split("\n## Query\n").nth(1).and_then(|rest| rest.split("\n## ").next()).context("a section on queries")?;
    let mut all = Vec::new();
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, paths, methods, ..] = cells.as_slice() else { continue };
        let words: Vec<&str> = methods.split(' ').collect();
        if words.iter().all(|word| ["GET", "POST"].contains(word)) {
            all.extend(paths.split(", ").map(|path| (path.trim_matches('`').replace("<name>", "job"), (*methods).to_owned())));
        }
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_documented_is_served_with_these_methods() -> anyhow::Result<()> {
    let documented = documented(&page()?)?;
    ensure!(documented.len() > 20, "{documented:?}");
    let single = Single::start_with_env(&[], &[("PLIMSOLL_COMPAT_BUILDINFO", "prometheus")]).await?;
    let client = single.node.client();
    for (path, methods) in &documented {
        for prefix in ["", "/prometheus"] {
            let url = format!("{}{prefix}/api/v1/{path}", client.base());
            for (method, answer) in [("GET", client.http().get(&url).send().await?), ("POST", client.http().post(&url).send().await?)] {
                let status = answer.status().as_u16();
                let taken = status != 405;
                ensure!(status != 404 && taken == methods.contains(method), "{method} {url} answered {status}; documented: {methods}");
            }
        }
    }
    Ok(())
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, out)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
    Ok(())
}

/// Routes as the source has them: `.route("/path", …`.
fn routes() -> anyhow::Result<BTreeSet<String>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(ROOT)? {
        let src = entry?.path().join("src");
        if src.is_dir() && !src.starts_with(Path::new(ROOT).join("tests")) {
            sources(&src, &mut files)?;
        }
    }
    let mut all = BTreeSet::new();
    for file in files {
        // Routers of unit tests are nobody's surface.
        if file.file_name().is_some_and(|name| name == "tests.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&file)?;
        let routes = text.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next());
        all.extend(routes.map(|route| route.replace('{', "<").replace('}', ">")));
    }
    Ok(all)
}

#[test]
fn what_is_served_is_documented() -> anyhow::Result<()> {
    let (page, routes) = (page()?, routes()?);
    ensure!(routes.len() > 20, "{routes:?}");
    // Some are below a prefix, and named from there.
    let named = |route: &str| page.contains(&format!("{route}`")) || page.contains(&format!("`{}`", route.trim_start_matches('/')));
    let missing: Vec<&String> = routes.iter().filter(|route| !named(route)).collect();
    ensure!(missing.is_empty(), "docs/http-api.md does not name {missing:?}");
    Ok(())
}
