/** Entries of the audit log, and what is found about it, as people read them. */
import { Duration } from "effect"
import type { Verified } from "../../actors/audit/AuditReader.ts"
import * as Json from "../../core/data/Json.ts"
import type * as AuditLine from "../../protocol/audit/AuditLine.ts"
import * as PlainText from "../../protocol/mcp/PlainText.ts"
import * as Address from "../../protocol/wire/Address.ts"

/** `17  2026-12-01T08:00:00.000Z  policy.denied  0:0000.0000.0002  what=messages reason=denied`. */
export const entry = ({ facts, kind, seq, time }: AuditLine.Line): string => {
  const node = Json.unsigned(facts, "node", 32)
  const others = Object.entries(facts).filter(([key]) => !PLACE.has(key))
  return [
    String(seq),
    time,
    kind,
    ...(node === 0 ? [] : [Address.format(Address.make(0, node))]),
    others.map(([key, value]) => `${key}=${textOf(value)}`).join(" ")
  ]
    .filter((part) => part !== "")
    .join("  ")
}

const textOf = (value: Json.Json | undefined): string =>
  PlainText.line(typeof value === "string" ? value : (JSON.stringify(value) ?? ""))

/** What was found, as data. */
export const verdict = (
  directory: string,
  found: Verified,
  signedBy: string,
  isKeyKnown: boolean
): Json.JsonObject => ({
  directory,
  whole: found.broken === undefined,
  files: found.files,
  lines: found.lines,
  first_seq: found.firstSeq,
  last_seq: found.lastSeq,
  last_hash: found.lastHash,
  unsigned: found.unsigned,
  checkpoints: found.checkpoints,
  signed_by: signedBy,
  key_known: isKeyKnown,
  lost: found.lost,
  suppressed: found.suppressed,
  repaired: found.repaired,
  torn_bytes: found.tornBytes,
  ...(found.broken === undefined ? {} : { broken: { ...found.broken } })
})

/** The same for people. */
export const verdictText = (data: Json.JsonObject): string => {
  const count = (key: string) => Json.integer(data, key)
  const broken = Json.member(data, "broken")
  if (Json.isObject(broken))
    return `BROKEN: line ${Json.integer(broken, "line")} of ${Json.string(broken, "file")}: ${PlainText.line(Json.string(broken, "detail"))}`
  const notes = [
    ...(count("unsigned") === 0 ? [] : [`the last ${count("unsigned")} are not signed yet`]),
    ...(count("lost") === 0 ? [] : [`${count("lost")} entries could not be written`]),
    ...(count("suppressed") === 0 ? [] : [`${count("suppressed")} came too fast and were only counted`]),
    ...(count("repaired") === 0 ? [] : [`cut off after a crash ${count("repaired")} times`]),
    ...(count("torn_bytes") === 0 ? [] : ["the last line is not finished"])
  ]
  const key = Json.string(data, "signed_by")
  return [
    `${count("lines")} lines in ${count("files")} files, unbroken, ${count("checkpoints")} checkpoints`,
    ...notes.map((note) => `  ${note}`),
    ...(key === ""
      ? []
      : [`  signed by ${key}${Json.boolean(data, "key_known") ? "" : "; compare it with: pilotctl info"}`]),
    `  ends with ${count("last_seq")}:${Json.string(data, "last_hash")}; kept elsewhere, audit verify --expect finds any other end`
  ].join("\n")
}

/** Of a duration flag. */
export const millis = (duration: Duration.Duration): number => Duration.toMillis(duration)

const PLACE = new Set(["seq", "time", "previous", "kind", "node", "signature", "publicKey"])
