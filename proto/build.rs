//! Compiles the protos with protox, so that no `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "plimsoll/ingester/v1/ingester.proto",
        "plimsoll/coordinator/v1/coordinator.proto",
        "plimsoll/ruler/v1/ruler.proto",
        "cortex/rule_group.proto",
        "prometheus/remote_write_v1.proto",
        "prometheus/remote_read.proto",
        "prometheus/remote_write_v2.proto",
    ];
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(files, ["proto"])?;
    tonic_prost_build::configure()
        // Label blocks and chunks are slices of the received message, not copies.
        .bytes(".plimsoll.ingester.v1")
        .bytes(".prometheus.v1.Chunk")
        .bytes(".plimsoll.ruler.v1")
        .compile_fds(descriptors)?;
    Ok(())
}
