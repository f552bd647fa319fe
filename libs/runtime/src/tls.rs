//! The one TLS implementation of a process.

/// Makes ring the provider of rustls, which HTTP clients of this process take their TLS from. Call it before the first client is built, as often as you
/// like: a provider that is there stays.
pub fn install() {
    // An error says that one is there.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
