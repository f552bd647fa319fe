//! A store from its URL (`--object-store`). Secrets come from the environment, under the names that the stores' own tools use, and never
//! from the URL, which is logged.
//!
//! | URL | options | from the environment |
//! |---|---|---|
//! | `file://PATH` | | |
//! | `memory://` | | |
//! | `s3://BUCKET/PREFIX` | `endpoint`, `region`, `virtual_hosted_style`, `anonymous`, `sse_kms_key_id` | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, … |
//! | `gs://BUCKET/PREFIX` | `endpoint`, `service_account_file` | `GOOGLE_SERVICE_ACCOUNT`, … |
//! | `az://CONTAINER/PREFIX` | `account`, `endpoint` | `AZURE_STORAGE_ACCOUNT_KEY`, … |

use std::path::PathBuf;
use std::sync::Arc;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use prometheus_client::registry::Registry;
use runtime::clock::SharedClock;
use url::Url;

use crate::error::BucketError;
use crate::store::{Bucket, Settings};

/// Opens the store that a URL names; a local folder is made. Nothing is asked of a remote one yet.
pub fn open(url: &str, settings: Settings, clock: SharedClock, registry: &mut Registry) -> Result<Bucket, BucketError> {
    let wrong = |what| BucketError::Url { url: shown(url), what };
    let parsed = Parsed::new(url).map_err(wrong)?;
    let folder = (parsed.scheme == "file").then(|| PathBuf::from(&parsed.place));
    let (store, prefix) = parsed.open(&settings).map_err(wrong)?;
    let bucket = Bucket::new(store, prefix, &shown(url), settings, clock, registry);
    Ok(match folder {
        Some(folder) => bucket.in_folder(folder),
        None => bucket,
    })
}

/// The URL without what may be secret.
fn shown(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut parsed) if !parsed.username().is_empty() || parsed.password().is_some() => {
            // Fails only for URLs that cannot have them.
            let _ = (parsed.set_username(""), parsed.set_password(None));
            parsed.to_string()
        }
        _ => url.to_owned(),
    }
}

/// A URL in its parts.
struct Parsed<'a> {
    scheme: &'a str,
    /// Bucket or container; the path for `file`.
    place: String,
    prefix: Path,
    options: Vec<(String, String)>,
}

type Opened = (Arc<dyn ObjectStore>, Path);

impl<'a> Parsed<'a> {
    fn new(url: &'a str) -> Result<Self, String> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err("is not a URL: file://, memory://, s3://, gs:// or az:// is expected".to_owned());
        };
        if matches!(scheme, "file" | "memory") {
            // A path, relative ones too, taken as it is.
            return Ok(Self { scheme, place: rest.to_owned(), prefix: Path::default(), options: Vec::new() });
        }
        let parsed = Url::parse(url).map_err(|e| e.to_string())?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err("credentials do not belong into the URL; they are taken from the environment".to_owned());
        }
        let place = parsed.host_str().filter(|host| !host.is_empty()).ok_or("names no bucket")?.to_owned();
        let prefix = Path::from_url_path(parsed.path()).map_err(|e| e.to_string())?;
        let options = parsed.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
        Ok(Self { scheme, place, prefix, options })
    }

    fn open(self, settings: &Settings) -> Result<Opened, String> {
        match self.scheme {
            "file" => self.open_file(),
            "memory" => Ok((Arc::new(InMemory::new()), self.prefix)),
            "s3" => self.open_s3(settings),
            "gs" => self.open_gcs(settings),
            "az" => self.open_azure(settings),
            other => Err(format!("{other}:// is not supported; file://, memory://, s3://, gs:// and az:// are")),
        }
    }

    fn open_file(self) -> Result<Opened, String> {
        if self.place.is_empty() {
            return Err("names no folder".to_owned());
        }
        std::fs::create_dir_all(&self.place).map_err(|e| e.to_string())?;
        let store = LocalFileSystem::new_with_prefix(&self.place).map_err(|e| e.to_string())?;
        // A listing of a bucket shows no folders that are empty.
        Ok((Arc::new(store.with_automatic_cleanup(true).with_fsync(true)), self.prefix))
    }

    fn open_s3(self, settings: &Settings) -> Result<Opened, String> {
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(&self.place).with_retry(retry(settings));
        let mut client = client(settings);
        for (name, value) in &self.options {
            builder = match name.as_str() {
                "endpoint" => {
                    client = client.with_allow_http(value.starts_with("http://"));
                    builder.with_endpoint(value)
                }
                "region" => builder.with_region(value),
                "virtual_hosted_style" => builder.with_virtual_hosted_style_request(boolean(name, value)?),
                "anonymous" => builder.with_skip_signature(boolean(name, value)?),
                "sse_kms_key_id" => builder.with_sse_kms_encryption(value),
                _ => return Err(unknown(name, "endpoint, region, virtual_hosted_style, anonymous and sse_kms_key_id")),
            };
        }
        let store = builder.with_client_options(client).build().map_err(|e| e.to_string())?;
        Ok((Arc::new(store), self.prefix))
    }

    fn open_gcs(self, settings: &Settings) -> Result<Opened, String> {
        let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(&self.place).with_retry(retry(settings));
        let mut client = client(settings);
        for (name, value) in &self.options {
            builder = match name.as_str() {
                "endpoint" => {
                    client = client.with_allow_http(value.starts_with("http://"));
                    builder.with_base_url(value)
                }
                "service_account_file" => builder.with_service_account_path(value),
                _ => return Err(unknown(name, "endpoint and service_account_file")),
            };
        }
        let store = builder.with_client_options(client).build().map_err(|e| e.to_string())?;
        Ok((Arc::new(store), self.prefix))
    }

    fn open_azure(self, settings: &Settings) -> Result<Opened, String> {
        let mut builder = MicrosoftAzureBuilder::from_env().with_container_name(&self.place).with_retry(retry(settings));
        let mut client = client(settings);
        for (name, value) in &self.options {
            builder = match name.as_str() {
                "account" => builder.with_account(value),
                "endpoint" => {
                    client = client.with_allow_http(value.starts_with("http://"));
                    builder.with_endpoint(value.clone())
                }
                _ => return Err(unknown(name, "account and endpoint")),
            };
        }
        let store = builder.with_client_options(client).build().map_err(|e| e.to_string())?;
        Ok((Arc::new(store), self.prefix))
    }
}

fn boolean(name: &str, value: &str) -> Result<bool, String> {
    value.parse().map_err(|_| format!("option {name} is true or false, not {value:?}"))
}

fn unknown(name: &str, known: &str) -> String {
    format!("option {name} is not known; {known} are")
}

fn retry(settings: &Settings) -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: settings.retries, retry_timeout: settings.timeout() }
}

fn client(settings: &Settings) -> ClientOptions {
    runtime::tls::install();
    ClientOptions::new().with_timeout(settings.timeout())
}
