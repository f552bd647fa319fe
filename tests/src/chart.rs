//! The Helm chart as Helm renders it. In reading order: [`manifest`] (objects, read strictly), [`release`] (the objects of one value set, and how they
//! refer to each other), [`policy`] (what every pod has to have), [`pods`] (pods as processes on loopback).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::Value;

pub mod manifest;
pub mod pods;
pub mod policy;
pub mod release;

/// The namespace into which `ci/helm` renders.
pub const NAMESPACE: &str = "metrics";

/// What `ci/helm render` and `ci/helm check` print.
#[derive(Debug, Deserialize)]
pub struct Rendered {
    /// Value sets by name.
    pub sets: BTreeMap<String, ValueSet>,
    /// Of `check`: for each piece of an error message, what Helm said to values that should give it; `None` if it took them.
    #[serde(default)]
    pub refused: BTreeMap<String, Option<String>>,
    /// Of `check`: what Kubernetes' schemas say of an object that is broken on purpose.
    #[serde(default)]
    pub broken: Vec<String>,
    /// Of `check`: versions of Helm and of Kubernetes' schemas.
    #[serde(default)]
    pub versions: Value,
}

/// One value set, rendered.
#[derive(Debug, Deserialize)]
pub struct ValueSet {
    /// All objects, hooks too.
    pub objects: Vec<Value>,
    /// What Helm prints after an install, and after an upgrade.
    pub notes: Vec<String>,
    /// Of `check`: what Helm's lint and Kubernetes' schemas find wrong.
    #[serde(default)]
    pub problems: Vec<String>,
}

/// The root of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs `ci/helm`; what it prints.
pub fn helm(args: &[&str]) -> anyhow::Result<Vec<u8>> {
    let output = Command::new(workspace().join("ci/helm")).args(args).stdin(Stdio::null()).output().context("run ci/helm")?;
    if !output.status.success() {
        bail!("ci/helm {args:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

/// Everything about every value set.
pub fn check() -> anyhow::Result<Rendered> {
    Ok(serde_json::from_slice(&helm(&["check"])?)?)
}

/// The objects of one value set.
pub fn render(set: &str) -> anyhow::Result<ValueSet> {
    let mut rendered: Rendered = serde_json::from_slice(&helm(&["render", set])?)?;
    rendered.sets.remove(set).with_context(|| format!("no value set {set}"))
}
