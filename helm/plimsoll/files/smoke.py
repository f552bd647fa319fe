"""Writes one sample and reads it back: smoke.py WRITE_URL QUERY_URL. Exit code 1 if it does not come back within half a minute."""
import json
import struct
import sys
import time
import urllib.parse
import urllib.request

METRIC = "plimsoll_smoke_test"
TENANT = {"X-Scope-OrgID": "smoke"}


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number, payload):
    return bytes([number << 3 | 2]) + varint(len(payload)) + payload


def write_request(value, at_ms):
    """Remote write 1.0: a message with one series of one sample, as snappy block of one literal (60 says that one byte of length follows)."""
    label = field(1, field(1, b"__name__") + field(2, METRIC.encode()))
    sample = field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(at_ms))
    message = field(1, label + sample)
    assert len(message) < 256
    return varint(len(message)) + bytes([60 << 2, len(message) - 1]) + message


def push(base, value, at_ms):
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", **TENANT}
    request = urllib.request.Request(base + "/api/v1/push", write_request(value, at_ms), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status


def query(base, at_ms):
    params = urllib.parse.urlencode({"query": METRIC, "time": at_ms / 1000})
    request = urllib.request.Request(base + "/prometheus/api/v1/query?" + params, headers=TENANT)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return [series["value"][1] for series in json.load(answer)["data"]["result"]]


def main(write, read):
    at_ms = int(time.time() * 1000)
    value = float(at_ms % 1_000_003)
    until, problem = time.monotonic() + 30, None
    while time.monotonic() < until:
        try:
            status = push(write, value, at_ms)
            values = query(read, at_ms)
            if [float(v) for v in values] == [value]:
                print(f"written ({status}) and read back: {METRIC} {value:g} at {at_ms}")
                return 0
            problem = f"wrote {value:g}, read {values}"
        except OSError as error:
            problem = error
        time.sleep(1)
    print(f"failed: {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
