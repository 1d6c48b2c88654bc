/** The policy of a node and its audit log: files that people, and whoever can write to the disk, may have changed. */
import { Result } from "effect"
import * as PolicySource from "../../../src/actors/policy/PolicySource.ts"
import * as PolicyText from "../../../src/actors/policy/PolicyText.ts"
import * as NativeCrc32 from "../../../src/core/crypto/NativeCrc32.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as UtcInstant from "../../../src/core/data/UtcInstant.ts"
import * as AuditLine from "../../../src/protocol/audit/AuditLine.ts"
import { AuditVerifier } from "../../../src/protocol/audit/AuditVerifier.ts"
import * as Policy from "../../../src/protocol/policy/Policy.ts"
import * as What from "../../../src/protocol/policy/What.ts"
import * as Who from "../../../src/protocol/policy/Who.ts"
import { key, peer, STRANGER, text } from "../../support/PolicyRig.ts"
import * as Corpus from "../Corpus.ts"
import * as Fuzzer from "../Fuzzer.ts"

const RULES = [
  { effect: "deny", who: ["tag:ops", `key:${key("A")}`], except: ["name:a"], what: ["mcp/fs/write(path=etc/*)", "*"] },
  { effect: "limit", who: ["anyone"], what: ["port/1-9"], limit: { concurrent: 1 }, until: "2026-12-01T00:00:00Z" },
  { effect: "allow", who: ["trusted"], what: ["files/pull/x"], hours: { from: "08:00", to: "18:00", days: ["mon"] } }
]
const WRITTEN = text(RULES, { tags: { ops: ["name:b"] }, default: "nothing" })
const COMMENTED = `// rules\n${WRITTEN.replace("{", "{ /* one */ ").replace(/\}$/, ",}")}`

/** A policy that could be read gives an answer about anybody, and never lets a stranger have what was not exposed. */
const decided = (written: string): unknown => {
  const parsed = PolicyText.parse(written)
  if (Result.isFailure(parsed)) {
    if (parsed.failure.line < 1 || parsed.failure.column < 1) throw new Error("a problem without a place")
    return parsed.failure.message
  }
  const policy = parsed.success
  return [peer("A", ["a"]), STRANGER].map((subject) => {
    const rules = Policy.rulesFor(policy, subject)
    const action = { service: "files/pull", target: "x" } as const
    const decision = Policy.decide(policy, rules, action, false, subject.isTrusted, 0)
    if (decision.isAllowed && !subject.isTrusted) throw new Error("a stranger is let in")
    return decision.reason
  })
}

const hash = (bytes: Uint8Array): Uint8Array => {
  const digest = new Uint8Array(32)
  digest.set(Bytes.ofU32(NativeCrc32.update(0, bytes, 0, bytes.length)), 0)
  return digest
}

/** A chain with a checksum for a hash, so that it costs nothing. */
const log = (): string => {
  let previous = AuditLine.ORIGIN
  const lines: Array<string> = []
  const add = (kind: AuditLine.Kind | AuditLine.OwnKind, facts: object) => {
    const place = { seq: lines.length + 1, time: "2026-12-01T00:00:00.000Z", previous }
    const line = AuditLine.encode(place, kind, { ...facts })
    previous = Bytes.toHex(hash(Bytes.fromUtf8(line)))
    lines.push(line)
  }
  for (let index = 0; index < 4; index++) add("message.stored", { node: 7, bytes: index })
  add("checkpoint", { publicKey: "AAAA", signature: "AAAA" })
  add("lost", { count: 3 })
  return lines.join("\n")
}
const LOG = log()

/** Whatever the lines are, it says what is wrong; and the log as it was is never what was changed. */
const verified = (written: string): unknown => {
  const verifier = new AuditVerifier({ sha256: hash, verify: () => true })
  verifier.file("audit")
  for (const line of written.split("\n")) verifier.line(line)
  const { broken, lastSeq, lines } = verifier.finish()
  if (broken === undefined && lines > 0 && lastSeq < lines) throw new Error("fewer numbers than lines")
  return [broken, lines]
}

const target = (
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

/** Policy and audit log. */
export const targets: ReadonlyArray<Fuzzer.Target> = [
  target("policy/file", [PolicyText.parse, PolicySource.parse], [WRITTEN, COMMENTED], decided),
  target("policy/what", [What.parse], ["mcp/a/b(c=d)", "port/1-2", "events/publish/a.**", "files/pull/x/y"], (text) => {
    const what = What.parse(text)
    if (Result.isFailure(what)) return what.failure
    return [What.permits, What.denies].map((meets) => meets(what.success, { service: "mcp", target: "a", tool: text }))
  }),
  target("policy/who", [Who.parse], [`key:${key("A")}`, "name:a", "tag:b", "network:3", "anyone"], (text) => {
    const who = Who.parse(text)
    return Result.isSuccess(who) ? Who.matches(who.success, peer("A", ["a"]), new Map()) : who.failure
  }),
  target(
    "policy/instant",
    [UtcInstant.parse],
    ["2026-12-01T00:00:00Z", "2000-02-29T23:59:59.5+01:00"],
    UtcInstant.parse
  ),
  target("audit/line", [AuditLine.decode], LOG.split("\n"), AuditLine.decode),
  target("audit/log", [AuditVerifier], [LOG], verified)
]
