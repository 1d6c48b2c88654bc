/** Texts that people, files and other programs give: addresses, keys, names, durations, files, command lines. */
import { Effect, Option, Result, Schema } from "effect"
import * as HostAddress from "../../../src/actors/layers/HostAddress.ts"
import * as NodeConfig from "../../../src/actors/layers/NodeConfig.ts"
import * as RendezvousText from "../../../src/actors/layers/RendezvousText.ts"
import * as CallTrace from "../../../src/actors/mcp/CallTrace.ts"
import * as KeeperControl from "../../../src/actors/mcp/KeeperControl.ts"
import * as Target from "../../../src/actors/mcp/Target.ts"
import * as PinFile from "../../../src/actors/trust/PinFile.ts"
import * as TrustFile from "../../../src/actors/trust/TrustFile.ts"
import * as Arguments from "../../../src/cli/Arguments.ts"
import { COMMANDS } from "../../../src/cli/CommandTable.ts"
import * as DaemonClient from "../../../src/cli/DaemonClient.ts"
import * as FingerprintFlag from "../../../src/cli/trust/FingerprintFlag.ts"

import * as SelfSignedCertificate from "../../../src/core/crypto/SelfSignedCertificate.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as DurationText from "../../../src/core/data/DurationText.ts"
import * as Endpoint from "../../../src/core/data/Endpoint.ts"
import * as GoJson from "../../../src/core/data/GoJson.ts"
import * as IpAddress from "../../../src/core/data/IpAddress.ts"
import * as Json from "../../../src/core/data/Json.ts"
import * as HostnameTable from "../../../src/protocol/registry/HostnameTable.ts"
import * as Tags from "../../../src/protocol/registry/Tags.ts"
import * as ToolPattern from "../../../src/protocol/relay/ToolPattern.ts"
import * as Fingerprint from "../../../src/protocol/trust/Fingerprint.ts"
import * as Identity from "../../../src/protocol/trust/Identity.ts"
import * as Justification from "../../../src/protocol/trust/Justification.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import * as CompatMessage from "../../../src/protocol/wire/CompatMessage.ts"
import * as LanAnnouncement from "../../../src/protocol/wire/LanAnnouncement.ts"
import * as Arb from "../../support/Arbitraries.ts"
import * as Corpus from "../Corpus.ts"
import * as Fuzzer from "../Fuzzer.ts"
import { assertSame } from "../Oracle.ts"

const KEY = Bytes.toBase64(new Uint8Array(32).fill(7))
const FINGERPRINT = "ABCD-EFGH-JKMN-PQRS-TVWX-YZ01-2345-6789"

const text = (
  name: string,
  covers: ReadonlyArray<unknown>,
  samples: ReadonlyArray<string>,
  decode: (text: string) => unknown
): Fuzzer.Target =>
  Fuzzer.decoder({
    name,
    covers,
    samples: () => Corpus.texts(...samples),
    decode: (bytes) => decode(Bytes.toUtf8Lossy(bytes))
  })

/** A file that is read, written and read again is the same. */
const file = (
  name: string,
  covers: ReadonlyArray<unknown>,
  samples: () => ReadonlyArray<Uint8Array>,
  decode: (text: string) => unknown
): Fuzzer.Target =>
  Fuzzer.decoder({ name, covers, format: "json", samples, decode: (bytes) => decode(Bytes.toUtf8Lossy(bytes)) })

/** What is read is written in one spelling, which is read as the same. */
const canonical =
  <A>(parse: (text: string) => A | undefined, format: (value: A) => string) =>
  (text: string) => {
    const value = parse(text)
    if (value !== undefined) assertSame(parse(format(value)), value, "its own spelling is read as something else")
    return value
  }

/** A pattern is written in one spelling, and gives an answer about any name. */
const patterns = (text: string): unknown => {
  const pattern = ToolPattern.parse(text)
  if (pattern === undefined) return undefined
  const args = pattern.args.map(([name, value]) => `${name}=${value}`).join(",")
  const spelled = `${pattern.isDenial ? "!" : ""}${pattern.name}${pattern.args.length === 0 ? "" : `(${args})`}`
  assertSame(ToolPattern.parse(spelled), pattern, "its own spelling is read as something else")
  return [ToolPattern.matches(pattern.name, text), ToolPattern.permits([pattern], "read_file", () => text)]
}

const addresses = (text: string): unknown => {
  const parsed = Address.parse(text)
  if (Result.isSuccess(parsed))
    assertSame(Address.parse(Address.format(parsed.success)), parsed, "its own spelling is read as something else")
  return [parsed, Address.parseSocket(text), DaemonClient.parse(text)]
}

const pins = (text: string): unknown => {
  const table = PinFile.decode(text)
  if (table !== undefined) assertSame(PinFile.decode(PinFile.encode(table)), table, "pins change when written")
  return table
}

const trusts = (text: string): unknown => {
  const content = TrustFile.decode(text, 1_700_000_000)
  if (content === undefined) return undefined
  const again = TrustFile.decode(TrustFile.encode(content), 1_700_000_000)
  assertSame(again?.table, content.table, "trust changes when written")
  assertSame(again?.admission, content.admission, "invitations change when written")
  return content.table.size
}

const identities = (text: string): unknown => [
  Identity.decodeFile(text, (seed) => seed),
  Identity.decodePublicKey(text)
]

const compat = (text: string): unknown => {
  const decoded = CompatMessage.decode(text)
  if (Result.isSuccess(decoded))
    assertSame(
      CompatMessage.decode(CompatMessage.encode(decoded.success)),
      decoded,
      "its own spelling is read as something else"
    )
  return decoded
}

const lan = (text: string): unknown => {
  const decoded = LanAnnouncement.decode(text.split("\n"))
  if (Result.isSuccess(decoded))
    assertSame(
      LanAnnouncement.decode(LanAnnouncement.encode(decoded.success)),
      decoded,
      "its own spelling is read as something else"
    )
  return decoded
}

const ROW = { node_id: 5, public_key: KEY, approved_at: "2026-02-01T00:00:00Z", mutual: true, network: 3 }
const TRUST = {
  trusted: [ROW, { ...ROW, node_id: 6, accept_due: true, other: [1] }],
  pending: [{ node_id: 7, public_key: KEY, justification: "hello", received_at: "2026-02-01T00:00:00Z" }],
  outgoing: [{ node_id: 8, public_key: KEY, requested_at: "2026-02-01T00:00:00Z" }],
  revoked: [
    { node_id: 9, until: "2026-02-01T00:00:00Z", report_due: true },
    { node_id: 10, until: "2026-02-01T00:00:00Z", public_key: KEY, notice_due: true }
  ],
  invitations: [
    {
      id: "0123456789abcdef",
      key: KEY,
      created_at: "2026-02-01T00:00:00Z",
      expires_at: "2026-02-02T00:00:00Z",
      uses_max: 2,
      services: ["files"],
      bound_to: FINGERPRINT,
      note: "for Bob",
      revoked_at: "2026-02-01T12:00:00Z",
      redemptions: [{ node_id: 5, public_key: KEY, at: "2026-02-01T01:00:00Z" }]
    }
  ],
  listed_keys: [{ fingerprint: FINGERPRINT, note: "build host", listed_at: "2026-02-01T00:00:00Z" }],
  version: 3
}
const PINS = {
  nodes: [{ node_id: 1, public_key: KEY }],
  names: [{ name: "alpha", public_key: KEY }],
  later_only: [{ public_key: KEY }]
}
const CONFIG = {
  registry: "127.0.0.1:9000",
  "registry-fingerprint": "ab".repeat(32),
  beacon: "[::1]:9001",
  listen: ":0",
  encrypt: "true",
  hostname: "alpha",
  keepalive: "30s",
  "idle-timeout": "1m30s",
  "max-conns-total": "4096",
  "log-level": "info"
}
const configured = (text: string): unknown => {
  const values = Json.parseObject(text)
  const surroundings = { home: "/home", socket: "/home/pilot.sock" }
  const resolved = values === undefined ? undefined : NodeConfig.resolve([{ name: "file", values }], surroundings)
  return resolved === undefined ? undefined : Result.isSuccess(resolved)
}

const SERVICE = { name: "files", command: "node", args: ["a.js"], allow: [{ node: 5, publicKey: KEY }] }
const HELD = { name: "kitchen", allowed: [], createdAtSeconds: 0, program: "node (pid 1)" }
const keeperRequest = Schema.decodeResult(Schema.fromJsonString(KeeperControl.Request))

/** Words are split at spaces, as a shell would. */
const commanded = (text: string): unknown => {
  const selection = Arguments.select(COMMANDS, Arguments.split(text.split(" ")))
  return Result.isSuccess(selection) ? selection.success._tag : selection.failure.code
}

const base64 = (text: string): unknown => {
  const strict = Bytes.fromBase64(text)
  if (strict !== undefined) {
    assertSame(Bytes.toBase64(strict), text, "base64 has two spellings")
    assertSame(Bytes.fromBase64Lenient(text), strict, "the lenient reader reads something else")
  }
  return [strict, Bytes.fromBase64Lenient(text)]
}

const jsons = (text: string): unknown => {
  const value = Json.parse(text)
  const object = Json.parseObject(text)
  if (value !== undefined)
    assertSame(
      Json.parse(GoJson.encode(value)),
      Json.parse(GoJson.encode(Json.parse(GoJson.encode(value)) ?? null)),
      "JSON changes when written twice"
    )
  return [value, object && [Json.integer(object, "a"), Json.unsigned(object, "id", 32), Json.strings(object, "a")]]
}

/** Every format of this file. */
export const targets: ReadonlyArray<Fuzzer.Target> = [
  text(
    "texts/LanAnnouncement",
    [LanAnnouncement.decode],
    [
      `v=1\nid=7\nrv=0123456789abcdef\nkey=${KEY}\nat=1700000000\nto=192.0.2.1:4000,[2001:db8::1]:4000\nname=alpha\nsig=${Bytes.toBase64(new Uint8Array(64).fill(9))}`
    ],
    lan
  ),
  Fuzzer.decoder({
    name: "texts/CompatMessage",
    covers: [CompatMessage.decode],
    format: "json",
    samples: () =>
      Corpus.jsons(
        { type: "auth_challenge", nonce: "0f".repeat(32), ts: 1_700_000_000 },
        { type: "auth_reply", node_id: 7, public_key: KEY, sig: Bytes.toBase64(new Uint8Array(64).fill(9)) },
        { type: "auth_ok", moves: true },
        { type: "moving", endpoint: "[2001:db8::1]:4000" },
        { type: "moved", ok: true }
      ),
    decode: (bytes) => compat(Bytes.toUtf8Lossy(bytes))
  }),
  text(
    "relay/ToolPattern",
    [ToolPattern.parse],
    ["read_*", "!write_*", "read_file(path=data/*)", "get(a=1, b=*x?)"],
    patterns
  ),
  text(
    "text/Address",
    [Address.parse, Address.parseSocket, DaemonClient.parse],
    ["0:0000.0000.0002", "0:0000.0000.0002:80", "65535:FFFF.FFFF.FFFF:65535", "2", "0:0001.0002.0003"],
    addresses
  ),
  text(
    "text/Endpoint",
    [Endpoint.parse],
    ["1.2.3.4:5", "[::1]:65535", "[2001:db8::1]:0", "[::ffff:1.2.3.4]:80", "255.255.255.255:65535"],
    canonical(Endpoint.parse, Endpoint.format)
  ),
  text(
    "text/IpAddress",
    [IpAddress.parse],
    ["1.2.3.4", "::", "::1", "1::", "2001:db8:0:0:1::", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8"],
    canonical(IpAddress.parse, (bytes) => IpAddress.format(bytes) ?? "")
  ),
  text("text/HostAddress", [HostAddress.split], ["localhost:80", "[::1]:80", ":0"], HostAddress.split),
  text("text/Duration", [DurationText.parse], ["30s", "1m30s", "250ms", "0", "12.5", "1h", "3µs"], (text) => {
    const duration = DurationText.parse(text)
    return duration === undefined ? undefined : DurationText.format(duration)
  }),
  text(
    "text/Fingerprint",
    [Fingerprint.parse, FingerprintFlag.parse],
    [FINGERPRINT, FINGERPRINT.toLowerCase(), FINGERPRINT.replaceAll("-", "")],
    (text) => {
      const shown = Fingerprint.parse(text)
      if (shown !== undefined) assertSame(Fingerprint.parse(shown), shown, "two spellings")
      return [shown, Option.isSome(Effect.runSync(Effect.option(FingerprintFlag.parse(text))))]
    }
  ),
  text("text/hex", [Bytes.fromHex], ["00ff", "", "abcdef0123456789", "ABCD"], canonical(Bytes.fromHex, Bytes.toHex)),
  text(
    "text/traceparent",
    [CallTrace.parse],
    ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0-0-0", ""],
    (text) => {
      const span = CallTrace.parse(text)
      if (span !== undefined) assertSame(CallTrace.parse(CallTrace.format(span)), span, "a span changes when written")
      return span?.traceId
    }
  ),
  text("text/base64", [Bytes.fromBase64, Bytes.fromBase64Lenient], [KEY, "", "AA==", "AAA=", "AAAA\r\n"], base64),
  text(
    "text/names",
    [HostnameTable.validate, Tags.normalize, Justification.clean, Target.parse, Target.parseInstances],
    ["alpha", "a-b-1", "peer/files", "tag one", "please trust me \u202e"],
    (text) => [
      HostnameTable.validate(text),
      Tags.normalize(text.split(" ")),
      Justification.clean(text),
      Target.parse(text),
      Target.parseInstances(text)
    ]
  ),
  text(
    "text/CommandLine",
    [Arguments.split, Arguments.select],
    [
      "--json info",
      "daemon start --listen :0 --public",
      "send bob 7 --data x",
      "mcp expose files --allow bob -- node a.js",
      "help send",
      "connect bob --message=hi",
      "peers --search a"
    ],
    commanded
  ),
  text(
    "text/Rendezvous",
    [RendezvousText.parse],
    [`b=10.0.0.2:9000/10.0.0.2:9001#${"ab".repeat(32)}`, "registry.example:9000, c=[::1]:9000"],
    (given) =>
      Result.map(RendezvousText.parse(given), (all) =>
        all.map((one) => {
          if (!/:\d+$/.test(one.registry) || one.alias === RendezvousText.HOME) throw new Error("it is none")
          return RendezvousText.beaconOf(one)
        })
      )
  ),
  text(
    "text/Certificate",
    [SelfSignedCertificate.fingerprint],
    [
      SelfSignedCertificate.make({ organization: "x", dnsNames: ["a"], addresses: [Uint8Array.of(1, 2, 3, 4)] }, 0)
        .certificatePem
    ],
    SelfSignedCertificate.fingerprint
  ),
  file(
    "file/Json",
    [Json.parse, Json.parseObject],
    () => Corpus.generated(Arb.json, (value) => Bytes.fromUtf8(JSON.stringify(value))),
    jsons
  ),
  file("file/trust.json", [TrustFile.decode], () => Corpus.jsons(TRUST, { trusted: null }), trusts),
  file("file/pins.json", [PinFile.decode], () => Corpus.jsons(PINS, { nodes: [], names: [] }), pins),
  file(
    "file/identity.key",
    [Identity.decodeFile, Identity.decodePublicKey],
    () => [
      ...Corpus.jsons({ private_key: Bytes.toBase64(new Uint8Array(64).fill(7)), public_key: KEY }),
      ...Corpus.texts(KEY)
    ],
    identities
  ),
  file("file/config.json", [NodeConfig.resolve], () => Corpus.jsons(CONFIG), configured),
  file(
    "file/keeper",
    [KeeperControl.Request],
    () =>
      Corpus.jsons(
        { op: "status" },
        { op: "unexpose", name: "files" },
        { op: "expose", service: SERVICE },
        { op: "hold", service: HELD },
        { op: "carry", ticket: "00ff" }
      ),
    (text) => Result.isSuccess(keeperRequest(text))
  )
]
