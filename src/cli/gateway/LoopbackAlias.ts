/** Addresses of this host beside those that it has: added to the loopback interface, and taken away again (node §7). */
import { Effect, type Scope, Stream } from "effect"
import { ChildProcess } from "effect/process"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Subnet from "../../protocol/gateway/Subnet.ts"

/**
 * The address is this host's until the scope ends. On Linux those of 127.0.0.0/8 are without that. A failure is logged:
 * listening there will tell what it means.
 */
export const hold = (ip: string, platform: string): Effect.Effect<void, never, ChildProcessSpawner | Scope.Scope> => {
  if (platform === "linux" && Subnet.isLoopback(ip)) return Effect.void
  const [add, remove] = COMMANDS[platform === "darwin" ? "darwin" : "linux"]
  return Effect.asVoid(Effect.acquireRelease(perform(add(ip)), () => perform(remove(ip))))
}

const perform = ([command = "", ...args]: ReadonlyArray<string>): Effect.Effect<void, never, ChildProcessSpawner> =>
  Effect.gen(function* () {
    const child = yield* ChildProcess.make(command, args, { stdin: "ignore" })
    const said = yield* Stream.mkString(Stream.decodeText(child.stderr))
    const code = yield* child.exitCode
    if (code !== 0) yield* Effect.logWarning(`gateway: ${[command, ...args].join(" ")}: ${said.trim()}`)
  }).pipe(
    Effect.scoped,
    Effect.catch((error) => Effect.logWarning(`gateway: ${[command, ...args].join(" ")}: ${error.message}`))
  )

const COMMANDS = {
  linux: [
    (ip: string) => ["ip", "addr", "add", `${ip}/32`, "dev", "lo"],
    (ip: string) => ["ip", "addr", "del", `${ip}/32`, "dev", "lo"]
  ],
  darwin: [(ip: string) => ["ifconfig", "lo0", "alias", ip], (ip: string) => ["ifconfig", "lo0", "-alias", ip]]
} as const
