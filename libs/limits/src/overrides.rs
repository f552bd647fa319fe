//! Limits of single tenants, as a file says them.
//!
//! ```yaml
//! overrides:
//!   team-a:
//!     ingestion_rate: 50000
//!     promql: {experimental_functions: true}
//! ```
//!
//! The shape is that of the runtime configuration of Cortex and Mimir. What a tenant's part does not name is as in the defaults. Anchors, aliases and merge keys (`<<`) within
//! `overrides` are resolved.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::TenantId;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_yaml_ng::{Mapping, Value};

use crate::limits::Limits;

/// The longest file: a hundred thousand tenants with some limits each.
pub const MAX_BYTES: usize = 16 << 20;

/// What is wrong with overrides. The text names tenant, limit and line as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OverridesError(String);

impl OverridesError {
    pub(crate) fn of(problem: String) -> Self {
        Self(problem)
    }
}

/// The limits of those tenants that have some of their own, whole: the defaults with the tenant's part laid over them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    by_tenant: HashMap<TenantId, Arc<Limits>>,
}

/// A file as it stands, to find where something is wrong.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    #[allow(dead_code, reason = "only read to be checked")]
    overrides: Option<BTreeMap<String, Option<Part>>>,
}

/// A tenant's part, good by itself.
struct Part;

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Limits::deserialize(deserializer)?.validate().map_err(D::Error::custom)?;
        Ok(Self)
    }
}

impl Overrides {
    /// Reads a file's text. Unknown keys, values of the wrong kind, names that no tenant can have, and tenants that are there twice are errors.
    pub fn parse(text: &str, defaults: &Limits) -> Result<Self, OverridesError> {
        if text.len() > MAX_BYTES {
            return Err(OverridesError(format!("the file has more than {MAX_BYTES} bytes, the most that is read")));
        }
        Self::read(text, defaults).map_err(|problem| OverridesError(placed(text, &problem).unwrap_or(problem)))
    }

    fn read(text: &str, defaults: &Limits) -> Result<Self, String> {
        let mut root: Value = serde_yaml_ng::from_str(text).map_err(|e| e.to_string())?;
        root.apply_merge().map_err(|e| e.to_string())?;
        let defaults = serde_yaml_ng::to_value(defaults).map_err(|e| e.to_string())?;
        let mut by_tenant = HashMap::new();
        for (name, part) in parts(root)? {
            let name = name.as_str().ok_or_else(|| format!("overrides: a tenant's name must be a text: {name:?}"))?;
            let tenant = TenantId::new(name).map_err(|e| format!("overrides.{name}: {e}"))?;
            let mut limits = defaults.clone();
            if !part.is_null() {
                lay_over(&mut limits, part);
            }
            let limits: Limits = serde_yaml_ng::from_value(limits).map_err(|e| format!("overrides.{name}: {e}"))?;
            limits.validate().map_err(|e| format!("overrides.{name}: {e}"))?;
            by_tenant.insert(tenant, Arc::new(limits));
        }
        Ok(Self { by_tenant })
    }

    /// The limits of a tenant that has some of its own.
    #[must_use]
    pub fn get(&self, tenant: &TenantId) -> Option<&Arc<Limits>> {
        if self.by_tenant.is_empty() { None } else { self.by_tenant.get(tenant) }
    }

    /// The tenants that have.
    pub fn tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.by_tenant.keys()
    }

    /// How many tenants have limits of their own.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_tenant.len()
    }

    /// Whether no tenant has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_tenant.is_empty()
    }

    /// In the shape of the file: all limits of every tenant in it, or those that are not as in `other_than`.
    #[must_use]
    pub fn to_value(&self, other_than: Option<&Limits>) -> Value {
        let value = |limits: &Limits| serde_yaml_ng::to_value(limits).unwrap_or(Value::Null);
        let base = other_than.map(value);
        let sorted: BTreeMap<&str, &Arc<Limits>> = self.by_tenant.iter().map(|(id, limits)| (id.as_str(), limits)).collect();
        let tenants = sorted.into_iter().map(|(id, limits)| {
            let limits = value(limits);
            (Value::from(id), base.as_ref().map_or(limits.clone(), |base| different(base, limits)))
        });
        Value::Mapping(Mapping::from_iter([(Value::from("overrides"), Value::Mapping(tenants.collect()))]))
    }
}

/// The same error with line and path, if the parser comes upon it in the text as well. It knows nothing of merge keys, and of a limit out of its bounds only the line of
/// its tenant.
fn placed(text: &str, problem: &str) -> Option<String> {
    let error = serde_yaml_ng::from_str::<File>(text).err()?.to_string();
    if error.contains("unknown field `<<`") {
        return None;
    }
    match (
        problem.starts_with("overrides."),
        error.strip_prefix("overrides: ").and_then(|rest| rest.rfind(" at line ").and_then(|at| rest.get(at..))),
    ) {
        (true, Some(line)) => Some(format!("{problem}{line}")),
        _ => Some(error),
    }
}

/// What stands under `overrides`.
fn parts(root: Value) -> Result<Mapping, String> {
    let mut root = match root {
        Value::Null => return Ok(Mapping::new()),
        Value::Mapping(root) => root,
        _ => return Err("the file must be a mapping with the key overrides".to_owned()),
    };
    let parts = root.remove("overrides");
    if let Some((key, _)) = root.iter().next() {
        return Err(format!("unknown key {key:?}: the file has the key overrides, and no other"));
    }
    match parts {
        None | Some(Value::Null) => Ok(Mapping::new()),
        Some(Value::Mapping(parts)) => Ok(parts),
        Some(_) => Err("overrides must be a mapping from tenants to their limits".to_owned()),
    }
}

fn lay_over(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Mapping(base), Value::Mapping(over)) => {
            for (key, value) in over {
                lay_over(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}

/// What of `value` is not as in `base`.
fn different(base: &Value, value: Value) -> Value {
    let Value::Mapping(pairs) = value else { return value };
    let changed = pairs.into_iter().filter_map(|(key, value)| match base.get(&key) {
        Some(same) if *same == value => None,
        Some(other) => Some((key, different(other, value))),
        None => Some((key, value)),
    });
    Value::Mapping(changed.collect())
}

#[cfg(test)]
mod tests;
