/** `pilotctl mcp audit`: the calls that this node's services answered or refused, and whether the record is whole (mcp §6.10). */
import { Effect, FileSystem } from "effect"
import { Crypto } from "../../core/crypto/Crypto.ts"
import * as NativeCrypto from "../../core/crypto/NativeCrypto.ts"
import * as Json from "../../core/data/Json.ts"
import * as PlainText from "../../protocol/mcp/PlainText.ts"
import * as AuditChain from "../../protocol/relay/AuditChain.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as CliError from "../CliError.ts"
import { type Environment, type Output, output } from "../Command.ts"
import * as KeeperPlaces from "./KeeperPlaces.ts"

/** The last calls; with `verify`, the chain is followed from its start, and a broken one is exit code 1. */
export const run = Effect.fnUntraced(function* (
  tail: number,
  verify: boolean,
  isEgress: boolean
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const places = yield* KeeperPlaces.places
  const audit = isEgress ? places.egress : places.audit
  const older = yield* linesOf(`${audit}.1`)
  const lines = [...older, ...(yield* linesOf(audit))]
  const calls = lines.slice(-tail).map((line) => Json.parseObject(line) ?? { unreadable: line })
  const human = calls.map(shown)
  if (!verify) return output({ path: audit, calls }, human.join("\n") || "no calls are recorded")
  const { sha256 } = yield* Effect.provide(Crypto, NativeCrypto.layer)
  const { brokenAt, head, lost } = AuditChain.verify(sha256, lines)
  const verdict =
    brokenAt === undefined
      ? `${lines.length} lines, unbroken${lost === 0 ? "" : `, ${lost} calls could not be written`}; head ${head}`
      : brokenText(brokenAt, older.length, audit)
  return {
    ...output(
      { path: audit, lines: lines.length, lost, whole: brokenAt === undefined, broken_at: brokenAt, head, calls },
      [...human, verdict].join("\n")
    ),
    exitCode: brokenAt === undefined ? 0 : 1
  }
})

const linesOf = (path: string): Effect.Effect<ReadonlyArray<string>, CliError.CliError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    if (!(yield* files.exists(path))) return []
    return (yield* files.readFileString(path)).split("\n").filter((line) => line !== "")
  }).pipe(Effect.mapError((error) => CliError.make("internal", `cannot read ${path}: ${error.message}`)))

const brokenText = (brokenAt: number, olderLines: number, path: string): string => {
  const [file, line] = brokenAt < olderLines ? [`${path}.1`, brokenAt + 1] : [path, brokenAt - olderLines + 1]
  return `BROKEN: line ${line} of ${file} does not follow from the one before: something was changed, taken out or put in`
}

const shown = (call: Json.JsonObject): string => {
  const text = (key: string) => PlainText.line(Json.string(call, key))
  const code = Json.member(call, "code")
  const decision = text("decision")
  return [
    text("time"),
    // At the mount it is the peer that was called, by the name that the mount was given.
    Json.member(call, "node") === undefined
      ? text("peer")
      : Address.format(Address.make(0, Json.unsigned(call, "node", 32))),
    text("service"),
    text("method"),
    text("target"),
    text("outcome") === "denied" || decision === "allow" ? "" : decision,
    text("outcome") === "denied" ? `denied (${decision})` : text("outcome"),
    ...(typeof code === "number" ? [String(code)] : []),
    `${Json.integer(call, "durationMs")} ms`
  ]
    .filter((part) => part !== "")
    .join("  ")
}
