/** Three peers that expose one service, with what can go wrong with each: its way, its power, its server. */
import { Effect, type Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Instances from "../../src/actors/mcp/mount/Instances.ts"
import { CannotReach } from "../../src/actors/mcp/mount/ShimFailure.ts"
import { CannotStart } from "../../src/actors/mcp/server/Child.ts"
import type { Crypto } from "../../src/core/crypto/Crypto.ts"
import * as Json from "../../src/core/data/Json.ts"
import type * as DuplexPair from "./DuplexPair.ts"
import * as McpRig from "./McpRig.ts"
import * as ScriptedServer from "./ScriptedServer.ts"

/** The rig at work, on virtual time. */
export interface InstancesRig {
  readonly instances: Instances.Instances<DuplexPair.Cut>
  /** The way to each of them. */
  readonly dial: (target: { readonly peer: string }) => Instances.Route<DuplexPair.Cut>["dial"]
  /** How long each way takes, in milliseconds. */
  readonly delays: Record<string, number>
  /** Peers whose servers read and never answer, and those whose servers cannot start. */
  readonly hung: Set<string>
  readonly broken: Set<string>
  readonly kill: (name: string) => Effect.Effect<void>
  readonly revive: (name: string) => Effect.Effect<void>
  /** The owner lets nobody use the service any more. */
  readonly takeBack: (name: string) => Effect.Effect<void>
  readonly pass: (seconds: number) => Effect.Effect<void>
}

/** Everything works; `near` is the fastest, then `middle`, then `far`. */
export const make = Effect.fnUntraced(function* (
  era: "legacy" | "modern" = "legacy"
): Effect.fn.Return<InstancesRig, never, Crypto | Scope.Scope> {
  const delays: Record<string, number> = { near: 10, middle: 60, far: 200 }
  const [hung, broken, down] = [new Set<string>(), new Set<string>(), new Set<string>()]
  const rigs = new Map<string, McpRig.McpRig>()
  for (const name of ["near", "middle", "far"]) {
    const spawn = () => serverOf(name, era, hung, broken)
    rigs.set(name, yield* McpRig.make({ services: [McpRig.service("files")], spawn }))
  }
  const dial = (target: { readonly peer: string }) =>
    Effect.suspend(() => {
      const rig = rigs.get(target.peer)
      return rig === undefined || down.has(target.peer)
        ? new CannotReach({ kind: "unreachable", detail: `${target.peer} does not answer.`, isFinal: false })
        : Effect.andThen(Effect.sleep(delays[target.peer] ?? 0), rig.stream(2))
    })
  const at = (peer: string) => ({ peer, service: "files" })
  const instances = yield* Instances.make([at("near"), at("middle"), at("far")], dial)
  const kill = (name: string) =>
    Effect.suspend(() => {
      down.add(name)
      return rigs.get(name)?.cut ?? Effect.void
    })
  const pass = (seconds: number) =>
    Effect.forEach(Array.from({ length: seconds * 2 }), () => TestClock.adjust("500 millis"), { discard: true })
  const revive = (name: string) => Effect.sync(() => void down.delete(name))
  const takeBack = (name: string) => Effect.sync(() => void rigs.get(name)?.allowed.clear())
  return { instances, dial, delays, hung, broken, kill, revive, takeBack, pass }
})

/**
 * A server that says where it is; `hang` is never answered, `wedge` makes that the last thing it ever heard, `busy` keeps everything
 * waiting for 30 s, `die` ends it.
 */
const serverOf = Effect.fnUntraced(function* (
  name: string,
  era: "legacy" | "modern",
  hung: ReadonlySet<string>,
  broken: ReadonlySet<string>
) {
  if (broken.has(name)) return yield* new CannotStart({ detail: "no such file" })
  const server = yield* ScriptedServer.make()
  let isWedged = false
  yield* Effect.gen(function* () {
    while (true) {
      const message = Json.parseObject(yield* server.line) ?? {}
      const id = Json.member(message, "id")
      const params = Json.member(message, "params")
      const tool = Json.isObject(params) ? Json.string(params, "name") : ""
      if (tool === "die") yield* server.die
      if (tool === "busy") yield* Effect.sleep("30 seconds")
      if (tool === "wedge") isWedged = true
      if (id === undefined || hung.has(name) || isWedged || tool === "hang") continue
      const body = answerOf(name, era, Json.string(message, "method"))
      yield* server.write(`${JSON.stringify({ jsonrpc: "2.0", id, ...body })}\n`)
    }
  }).pipe(Effect.ignore, Effect.forkScoped)
  return server.child
})

const answerOf = (name: string, era: "legacy" | "modern", method: string): Json.JsonObject => {
  if (method === (era === "modern" ? "initialize" : "server/discover")) {
    return { error: { code: -32601, message: "Method not found" } }
  }
  const capabilities = { tools: {} }
  switch (method) {
    case "initialize":
      return { result: { protocolVersion: "2025-11-25", capabilities } }
    case "server/discover":
      return { result: { resultType: "complete", supportedVersions: ["2026-07-28"], capabilities } }
    case "tools/list":
      return { result: { ...(era === "modern" ? { resultType: "complete" } : {}), text: name, tools: [{ name }] } }
    default:
      return { result: { ...(era === "modern" ? { resultType: "complete" } : {}), text: name } }
  }
}
