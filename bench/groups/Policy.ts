/**
 * What it costs to ask the policy, and to keep and to check the audit log: next to a map that already knows the answer, and to
 * hashing and syncing the same bytes.
 */
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs"
import { Console, Effect, FileSystem, Result } from "effect"
import { Bytes, NativeCrypto } from "effect-pilot/core"
import { AuditLine, AuditVerifier, Policy } from "effect-pilot/protocol"
import type { Figure } from "../Figure.ts"
import type { Group } from "./Group.ts"

const measure = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem
  const directory = yield* files.makeTempDirectoryScoped({ prefix: "effect-pilot-bench-" })
  yield* Console.log("decisions …")
  const decisions = RULE_COUNTS.map(decided)
  yield* Console.log("the log …")
  const log = written(`${directory}/log`)
  return [...decisions, log.figure, verified(log.lines)]
})

/** Every rule speaks of this peer and this service and none of this tool, so each of them is looked at. */
const decided = (count: number): Figure => {
  const rules = Array.from({ length: count }, (_, index) => ({
    ...{ effect: "deny" as const, who: ["trusted"], what: [`mcp/server-${index}/delete_*`] }
  }))
  const policy = Result.getOrThrow(Policy.compile({ version: 1, rules }))
  const peer = { fingerprint: "", isTrusted: true, names: [], network: 0 }
  const subject = Policy.rulesFor(policy, peer)
  const wish = { service: "mcp", target: "files", tool: "read_file" } as const
  const known = new Map(Array.from({ length: count }, (_, index) => [`server-${index}`, index]))
  known.set("files", -1)
  const rounds = ROUNDS / count
  return {
    name: `a decision, ${count.toLocaleString("en")} rules that all speak of the peer and the service`,
    unit: "µs",
    ours: eachUs(rounds, () => Policy.decide(policy, subject, wish, true, true, 0).isAllowed),
    ceiling: { value: eachUs(ROUNDS, () => known.get(wish.target) === -1), of: "one look into a map" }
  }
}

const eachUs = (rounds: number, once: () => boolean): number => {
  let yes = 0
  const startMs = performance.now()
  for (let round = 0; round < rounds; round++) if (once()) yes++
  const tookMs = performance.now() - startMs
  if (yes !== Math.ceil(rounds)) throw new Error(`${yes} of ${rounds} were allowed`)
  return (1000 * tookMs) / rounds
}

/** Lines as the node writes them: chained, a batch at a time, signed and synced at every checkpoint. */
const written = (path: string) => {
  const lines: Array<string> = []
  const place = { seq: 0, previous: AuditLine.ORIGIN }
  const add = (
    kind: AuditLine.Kind | "checkpoint",
    facts: (at: AuditLine.Place) => { readonly [name: string]: string }
  ) => {
    const at = { seq: place.seq + 1, time: TIME, previous: place.previous }
    const line = AuditLine.encode(at, kind, facts(at))
    place.seq = at.seq
    place.previous = Bytes.toHex(sha256(Bytes.fromUtf8(line)))
    lines.push(line)
    return line
  }
  const batches = Array.from({ length: LINES / CHECKPOINT_LINES }, () => () => {
    let text = ""
    for (let index = 1; index < CHECKPOINT_LINES; index++) text += `${add("policy.denied", () => FACTS)}\n`
    const signed = (at: AuditLine.Place) => ({ publicKey: KEY, signature: sign(AuditLine.checkpointText(at)) })
    return Bytes.fromUtf8(`${text}${add("checkpoint", signed)}\n`)
  })
  const ours = appended(path, batches)
  const all = lines.map((line) => Bytes.fromUtf8(`${line}\n`))
  const bare = Array.from(batches, (_, batch) => () => {
    const part = all.slice(batch * CHECKPOINT_LINES, (batch + 1) * CHECKPOINT_LINES)
    for (const line of part) sha256(line)
    return Bytes.concat(...part)
  })
  const figure: Figure = {
    name: `lines of the audit log, chained, signed and synced every ${CHECKPOINT_LINES.toLocaleString("en")}`,
    unit: "/s",
    ours,
    ceiling: { value: appended(`${path}-bare`, bare), of: "SHA-256 and sync of the same bytes" }
  }
  return { figure, lines }
}

/** Lines per second. */
const appended = (path: string, batches: ReadonlyArray<() => Uint8Array>): number => {
  const file = openSync(path, "a")
  const startMs = performance.now()
  for (const batch of batches) {
    writeSync(file, batch())
    fsyncSync(file)
  }
  const tookMs = performance.now() - startMs
  closeSync(file)
  return (LINES * 1000) / tookMs
}

const verified = (lines: ReadonlyArray<string>): Figure => {
  const sizeBytes = lines.reduce((sum, line) => sum + line.length + 1, 0)
  const megabytes = (run: () => void): number => {
    const startMs = performance.now()
    run()
    return sizeBytes / 1000 / (performance.now() - startMs)
  }
  const ours = megabytes(() => {
    const verifier = new AuditVerifier({ sha256, verify: NativeCrypto.crypto.verify })
    verifier.file("log")
    for (const line of lines) verifier.line(line)
    const found = verifier.finish()
    if (found.broken !== undefined || found.lines !== LINES)
      throw new Error(found.broken?.detail ?? "lines are missing")
  })
  const bare = megabytes(() => {
    for (const line of lines) sha256(Bytes.fromUtf8(line))
  })
  return {
    name: "audit verify: chain, signatures, order",
    unit: "MB/s",
    ours,
    ceiling: { value: bare, of: "SHA-256 of the same lines" }
  }
}

const { sha256 } = NativeCrypto.crypto
const signing = NativeCrypto.crypto.signingKey(new Uint8Array(32).fill(7))
const KEY = Bytes.toBase64(signing.publicKey)
const sign = (bytes: Uint8Array): string => Bytes.toBase64(signing.sign(bytes))

/** What asking and recording cost. */
export const group: Group = {
  name: "policy",
  about: "a decision of the policy, the audit log written and verified",
  seconds: 10,
  run: Effect.scoped(measure)
}

const RULE_COUNTS = [10, 1_000]
const ROUNDS = 5_000_000
const CHECKPOINT_LINES = 1_024
const LINES = 100 * CHECKPOINT_LINES
const TIME = "2026-12-01T08:00:00.000Z"
const FACTS = {
  key: "4HX2-9TQM-4HX2-9TQM-4HX2-9TQM-4HX2-9TQM",
  what: "files/push",
  reason: "denied",
  rule: "no uploads"
}
