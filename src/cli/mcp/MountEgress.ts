/** What a mount lets out of this node, as its flags say it, and where that is recorded (mcp §6.10). */
import { Clock, Effect, FileSystem, type Path, type Scope } from "effect"
import * as AuditLog from "../../actors/mcp/keeper/AuditLog.ts"
import * as EgressGuard from "../../actors/mcp/mount/EgressGuard.ts"
import { Crypto } from "../../core/crypto/Crypto.ts"
import { DirectoryLock } from "../../core/storage/DirectoryLock.ts"
import * as FileLock from "../../core/storage/FileLock.ts"
import * as InTurn from "../../core/storage/InTurn.ts"
import * as ToolPattern from "../../protocol/relay/ToolPattern.ts"
import * as CliError from "../CliError.ts"
import type { CliHost } from "../CliHost.ts"
import type { Input } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"
import * as Values from "../Values.ts"
import * as KeeperPlaces from "./KeeperPlaces.ts"

/** Nothing if no flag asks for anything. The record is written until the scope ends, by all mounts of this node in turn. */
export const open = Effect.fnUntraced(function* (
  input: Input
): Effect.fn.Return<
  EgressGuard.Egress | undefined,
  CliError.CliError,
  CliHost | Crypto | FileSystem.FileSystem | Path.Path | Scope.Scope
> {
  const [tools = [], denied = []] = ["tools", "deny-tools"].map((flag) =>
    Values.texts(input, flag).flatMap(ToolPattern.split)
  )
  const found = EgressGuard.patterns(tools, denied)
  if ("wrong" in found) {
    const flag = tools.includes(found.wrong) ? "--tools" : "--deny-tools"
    const hint = flag === "--tools" ? "'read_*', '!write_*' or 'read(path=a/*)'" : "'write_*' or 'read(path=a/*)'"
    return yield* CliError.invalidArgument(`invalid ${flag} ${JSON.stringify(found.wrong)}`, hint)
  }
  const keepsArguments = Values.boolean(input, "audit-arguments") === true
  const records = keepsArguments || Values.boolean(input, "audit") === true
  if (found.tools.length === 0 && !records) return undefined
  const { egress, home } = yield* KeeperPlaces.places
  yield* ConfigFile.makeHome(home)
  const { sha256 } = yield* Crypto
  const files = yield* FileSystem.FileSystem
  const lock = yield* Effect.provide(DirectoryLock, FileLock.layer)
  const clock = yield* Clock.Clock
  const log = yield* AuditLog.make(egress, sha256, (work) =>
    InTurn.run(egress, work).pipe(
      Effect.provideService(DirectoryLock, lock),
      Effect.provideService(FileSystem.FileSystem, files)
    )
  )
  const time = () => new Date(clock.currentTimeMillisUnsafe()).toISOString()
  return { tools: found.tools, keepsArguments, audit: { sha256, record: log.record, time } }
})
