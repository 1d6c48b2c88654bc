/** `pilotctl audit`: what happened at this node, and whether the record of it is what was written (`docs/audit.md`). */
import { Effect, Option } from "effect"
import * as AuditReader from "../../actors/audit/AuditReader.ts"
import { Crypto } from "../../core/crypto/Crypto.ts"
import * as NativeCrypto from "../../core/crypto/NativeCrypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as DurationText from "../../core/data/DurationText.ts"
import * as Json from "../../core/data/Json.ts"
import * as UtcInstant from "../../core/data/UtcInstant.ts"
import type * as AuditLine from "../../protocol/audit/AuditLine.ts"
import * as KeyChain from "../../protocol/identity/KeyChain.ts"
import * as Fingerprint from "../../protocol/trust/Fingerprint.ts"
import * as CliError from "../CliError.ts"
import { type Command, type Environment, type Flag, type Input, type Output, output, silent } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import * as AuditText from "./AuditText.ts"

const FILTERS: ReadonlyArray<Flag> = [
  { name: "since", value: "text", placeholder: "time|dur", summary: "from this instant on, or so long ago: 24h" },
  { name: "peer", value: "text", placeholder: "node|key", summary: "only about this node id, address or fingerprint" },
  { name: "kind", value: "text", placeholder: "kind", summary: "only of this kind, or all of a group: policy" }
]

const tail: Command = {
  name: "audit tail",
  usage: "",
  summary: "The last entries of the audit log; -f goes on with new ones as they come",
  returns: "entries; with -f one object a line",
  flags: [
    { name: "f", value: "boolean", summary: "goes on until it is stopped" },
    { name: "count", value: "number", placeholder: "n", summary: "how many (default 20)" },
    ...FILTERS
  ],
  isStrict: true,
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const count = yield* Effect.fromResult(Values.count(input, "count", TAIL))
    const isWanted = yield* filterOf(input)
    const directory = yield* place
    const kept: Array<AuditLine.Line> = []
    let next = 1
    yield* read(directory, 1, (line) => {
      next = line.seq + 1
      if (!isWanted(line)) return
      kept.push(line)
      if (kept.length > count) kept.shift()
    })
    if (Values.boolean(input, "f") === true) return yield* follow(input, directory, kept, isWanted, next)
    return output(
      { directory, entries: kept.map(({ facts }) => facts) },
      kept.map(AuditText.entry).join("\n") || "nothing is recorded"
    )
  })
}

const verify: Command = {
  name: "audit verify",
  usage: "",
  summary: "Whether the audit log is what was written; names the file and line where it is not (exit code 1)",
  returns:
    "whole, lines, first_seq, last_seq, last_hash, unsigned, checkpoints, signed_by, lost, suppressed, repaired, broken [file, line, detail]",
  flags: [
    {
      name: "key",
      value: "text",
      placeholder: "fingerprint",
      summary: "a key whose signatures count too, beside those that the key chain of this node names",
      repeats: true
    },
    { name: "expect", value: "text", placeholder: "seq:hash", summary: "a line that was kept elsewhere" }
  ],
  isStrict: true,
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const crypto = yield* Effect.provide(Crypto, NativeCrypto.layer)
    const directory = yield* place
    const node = yield* running
    const stored = yield* storedKey
    const own = node?.publicKey ?? stored?.publicKey
    const chain = KeyChain.parse(node?.chain ?? stored?.chain ?? "") ?? KeyChain.empty
    const fingerprintOf = (publicKey: string) =>
      Fingerprint.format(crypto.sha256(Bytes.fromBase64(publicKey) ?? Bytes.empty))
    const keys = Values.texts(input, "key").map(Fingerprint.parse)
    if (keys.includes(undefined)) return yield* CliError.invalidArgument("--key takes a fingerprint")
    const isKnown = own !== undefined || keys.length > 0
    const accepts = (publicKey: string) => publicKey === own || keys.includes(fingerprintOf(publicKey))
    const expected = new Map(node?.head)
    const [seq, hash] = (Values.text(input, "expect") ?? "").split(":")
    if (seq !== "" && (hash === undefined || !/^\d+$/.test(seq ?? "")))
      return yield* CliError.invalidArgument("--expect takes SEQ:HASH, as audit verify prints them")
    if (hash !== undefined) expected.set(Number(seq), hash)
    const found = yield* Effect.mapError(
      AuditReader.verify(directory, {
        crypto,
        accepts: isKnown ? accepts : undefined,
        expected,
        keys: keysOf(own, chain, crypto.verify)
      }),
      unreadable
    )
    const { publicKey } = found
    const data = AuditText.verdict(directory, found, publicKey === undefined ? "" : fingerprintOf(publicKey), isKnown)
    return { ...output(data, AuditText.verdictText(data)), exitCode: found.broken === undefined ? 0 : 1 }
  })
}

const exporting: Command = {
  name: "audit export",
  usage: "",
  summary: "The entries of the audit log, the oldest first, one JSON object a line as they were written",
  returns: "one object a line, with its hash chain; no envelope",
  flags: FILTERS,
  isStrict: true,
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const isWanted = yield* filterOf(input)
    const lines: Array<string> = []
    yield* read(yield* place, 1, (line, text) => {
      if (isWanted(line)) lines.push(text)
    })
    if (lines.length > 0) yield* Terminal.line(lines.join("\n"))
    return silent()
  })
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [tail, verify, exporting]

const place = Effect.map(ConfigFile.directory, ({ home }) => `${home}/audit`)

const unreadable = ({ message }: { readonly message: string }) =>
  CliError.make("internal", `the audit log cannot be read: ${message}`)

const read = (directory: string, fromSeq: number, take: (line: AuditLine.Line, text: string) => void) =>
  Effect.mapError(AuditReader.lines(directory, fromSeq, take), unreadable)

/** What a running node says of itself: everything written and signed, and where that ends. Undefined if none answers. */
const running = Effect.gen(function* () {
  const client = yield* DaemonClient.connect
  const [info, status] = [yield* client.info, yield* client.extension("audit.seal", {})]
  const key = yield* Effect.orElseSucceed(client.extension("key.status", {}), () => ({}))
  const [seq, hash] = [Json.integer(status, "last_seq"), Json.string(status, "last_hash")]
  return {
    publicKey: Json.string(info, "public_key"),
    chain: Json.string(key, "key_chain"),
    head: new Map(seq === 0 ? [] : [[seq, hash] as const])
  }
}).pipe(Effect.option, Effect.map(Option.getOrUndefined))

/** Of the identity on this disk, if its file says it in the clear. */
const storedKey = Effect.gen(function* () {
  const stored = yield* ConfigFile.read((yield* ConfigFile.directory).identity)
  const publicKey = Json.string(stored, "public_key")
  return publicKey === "" ? undefined : { publicKey, chain: Json.string(stored, "key_chain") }
})

/** Those that the node has had, as its own chain tells, the present one last. */
const keysOf = (own: string | undefined, chain: KeyChain.KeyChain, verify: Crypto["Service"]["verify"]) => {
  const present = own === undefined ? undefined : Bytes.fromBase64(own)
  return present && KeyChain.pathTo(chain, present, verify).map(Bytes.toBase64)
}

const filterOf = Effect.fnUntraced(function* (
  input: Input
): Effect.fn.Return<(line: AuditLine.Line) => boolean, CliError.CliError> {
  const [since, peer, kind] = ["since", "peer", "kind"].map((flag) => Values.text(input, flag))
  const nowMs = Date.now()
  const ago = since === undefined ? undefined : DurationText.parse(since)
  const fromMs = since === undefined ? 0 : ago === undefined ? UtcInstant.parse(since) : nowMs - AuditText.millis(ago)
  if (fromMs === undefined)
    return yield* CliError.invalidArgument(`invalid --since ${JSON.stringify(since)}`, "24h, or 2026-12-01T00:00:00Z")
  const key = peer === undefined ? undefined : Fingerprint.parse(peer)
  const node = peer === undefined || key !== undefined ? undefined : DaemonClient.parse(peer)?.node
  if (peer !== undefined && key === undefined && node === undefined)
    return yield* CliError.invalidArgument(
      `invalid --peer ${JSON.stringify(peer)}`,
      "a node id, address or fingerprint"
    )
  return ({ facts, kind: own, time }) =>
    (UtcInstant.parse(time) ?? 0) >= fromMs &&
    (key === undefined || facts["key"] === key) &&
    (node === undefined || facts["node"] === node) &&
    (kind === undefined || own === kind || own.startsWith(`${kind}.`))
})

/** Looks again every half second, from the line `first` on: the log is a file, and a node need not run. */
const follow = Effect.fnUntraced(function* (
  input: Input,
  directory: string,
  kept: ReadonlyArray<AuditLine.Line>,
  isWanted: (line: AuditLine.Line) => boolean,
  first: number
) {
  const shown = (line: AuditLine.Line) => (input.json ? JSON.stringify(line.facts) : AuditText.entry(line))
  for (const line of kept) yield* Terminal.line(shown(line))
  let next = first
  while (true) {
    yield* Effect.sleep(LOOK_INTERVAL)
    const fresh: Array<string> = []
    yield* read(directory, next, (line) => {
      next = line.seq + 1
      if (isWanted(line)) fresh.push(shown(line))
    })
    for (const line of fresh) yield* Terminal.line(line)
  }
})

const TAIL = 20
const LOOK_INTERVAL = "500 millis"
