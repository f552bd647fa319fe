//! Laying defaults, file, environment and flags over each other.

use std::path::{Path, PathBuf};

use serde_yaml_ng::{Mapping, Value};

use super::Config;

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the config file {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not YAML, or a key or value is not known; the text says which.
    #[error("{origin}: {source}")]
    Content {
        /// The file, or which layer.
        origin: String,
        /// What is wrong.
        source: serde_yaml_ng::Error,
    },
    /// A value contradicts another or is out of bounds.
    #[error("invalid configuration: {0}")]
    Invalid(String),
}

/// Reads the settings: defaults, then `file`, then the environment (`lookup` gives a variable), then `flags` (path and value).
pub fn load(file: Option<&Path>, lookup: impl Fn(&str) -> Option<String>, flags: &[(&str, String)]) -> Result<Config, ConfigError> {
    let content = |origin: &str, source| ConfigError::Content { origin: origin.to_owned(), source };
    let defaults = serde_yaml_ng::to_value(Config::default()).map_err(|e| content("defaults", e))?;
    let mut merged = Value::Mapping(Mapping::new());
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let origin = path.display().to_string();
        let from_file: Value = serde_yaml_ng::from_str(&text).map_err(|e| content(&origin, e))?;
        // Checked alone first, so that the error names the file.
        if !from_file.is_null() {
            serde_yaml_ng::from_value::<Config>(from_file.clone()).map_err(|e| content(&origin, e))?;
            merged = from_file;
        }
    }
    let mut leaves = Vec::new();
    collect_leaves(&defaults, &mut Vec::new(), &mut leaves);
    for path in &leaves {
        let variable = variable(&path.join("."));
        if let Some(text) = lookup(&variable) {
            set(&mut merged, path, scalar(&defaults, path, &text));
            serde_yaml_ng::from_value::<Config>(merged.clone()).map_err(|e| content(&format!("environment variable {variable}"), e))?;
        }
    }
    for (name, text) in flags {
        let path: Vec<String> = name.split('.').map(str::to_owned).collect();
        set(&mut merged, &path, scalar(&defaults, &path, text));
        serde_yaml_ng::from_value::<Config>(merged.clone()).map_err(|e| content(&format!("flag --{}", name.replace('_', "-")), e))?;
    }
    let config: Config = serde_yaml_ng::from_value(merged).map_err(|e| content("configuration", e))?;
    config.validate().map_err(ConfigError::Invalid)?;
    Ok(config)
}

/// The environment variable of a setting.
pub(super) fn variable(key: &str) -> String {
    format!("PLIMSOLL_{}", key.replace('.', "_").to_ascii_uppercase())
}

/// Every setting as its path (`querier.timeout_seconds`) and its value as YAML writes it on one line; in the order of the structs.
#[must_use]
pub fn flat(config: &Config) -> Vec<(String, String)> {
    let Ok(values) = serde_yaml_ng::to_value(config) else { return Vec::new() };
    let mut leaves = Vec::new();
    collect_leaves(&values, &mut Vec::new(), &mut leaves);
    leaves
        .into_iter()
        .map(|path| {
            let value = path.iter().try_fold(&values, |value, key| value.get(key.as_str()));
            (path.join("."), value.map(one_line).unwrap_or_default())
        })
        .collect()
}

fn one_line(value: &Value) -> String {
    match value {
        Value::Sequence(items) => format!("[{}]", items.iter().map(one_line).collect::<Vec<_>>().join(", ")),
        Value::Mapping(map) => {
            let pairs = map.iter().map(|(key, value)| format!("{}: {}", one_line(key), one_line(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        scalar => serde_yaml_ng::to_string(scalar).unwrap_or_default().trim_end().to_owned(),
    }
}

fn collect_leaves(value: &Value, path: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
    match value {
        Value::Mapping(map) if !map.is_empty() => {
            for (key, child) in map {
                path.push(key.as_str().unwrap_or_default().to_owned());
                collect_leaves(child, path, out);
                path.pop();
            }
        }
        _ => out.push(path.clone()),
    }
}

/// Text for a setting: text where the default is text (a zone named `1` is no number), YAML's reading otherwise.
fn scalar(defaults: &Value, path: &[String], text: &str) -> Value {
    let default = path.iter().try_fold(defaults, |value, key| value.get(key.as_str()));
    if default.is_some_and(Value::is_string) {
        return Value::String(text.to_owned());
    }
    serde_yaml_ng::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn set(root: &mut Value, path: &[String], leaf: Value) {
    let Some((first, rest)) = path.split_first() else {
        *root = leaf;
        return;
    };
    if !root.is_mapping() {
        *root = Value::Mapping(Mapping::new());
    }
    if let Value::Mapping(map) = root {
        set(map.entry(Value::String(first.clone())).or_insert(Value::Null), rest, leaf);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{ConfigError, load};

    #[test]
    fn flag_over_environment_over_file_over_default() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "zone: file\nquerier: {{timeout_seconds: 7, lookback_seconds: 60}}").unwrap();
        let env = |name: &str| match name {
            "PLIMSOLL_ZONE" => Some("1".to_owned()),
            "PLIMSOLL_QUERIER_TIMEOUT_SECONDS" => Some("8".to_owned()),
            _ => None,
        };
        let config = load(Some(file.path()), env, &[("http_listen", "127.0.0.1:0".to_owned())]).unwrap();
        assert_eq!(config.zone, "1");
        assert_eq!(config.querier.timeout_seconds, 8);
        assert_eq!(config.querier.lookback_seconds, 60);
        assert_eq!(config.http_listen.port(), 0);
        assert_eq!(config.grpc_listen.port(), 9095);
        let config = load(Some(file.path()), env, &[("zone", "flag".to_owned())]).unwrap();
        assert_eq!(config.zone, "flag");
    }

    #[test]
    fn errors_name_their_origin() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "querier: {{timeout: 7}}").unwrap();
        let error = load(Some(file.path()), |_| None, &[]).unwrap_err().to_string();
        assert!(error.contains("unknown field `timeout`") && error.contains(&file.path().display().to_string()), "{error}");
        let env = |name: &str| (name == "PLIMSOLL_REPLICATION_FACTOR").then(|| "many".to_owned());
        let error = load(None, env, &[]).unwrap_err().to_string();
        assert!(error.contains("PLIMSOLL_REPLICATION_FACTOR"), "{error}");
        let error = load(None, |_| None, &[("replication_factor", "2".to_owned())]).unwrap_err();
        assert!(matches!(error, ConfigError::Invalid(_)), "{error}");
        let error = load(None, |_| None, &[("target", "nobody".to_owned())]).unwrap_err().to_string();
        assert!(error.contains("--target") && error.contains("nobody"), "{error}");
    }
}
