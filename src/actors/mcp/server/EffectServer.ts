/**
 * An MCP server written with `effect/ai`, as the child of one session: it lives in this process, one per client,
 * and reads and writes the lines that a process would.
 *
 * Owns the server and every handler it runs; the end of its scope interrupts them. Its own fiber builds it, because
 * `effect/ai` interrupts that fiber when the input ends.
 */
import { type Cause, Context, Deferred, Effect, Exit, Layer, Option, type Scope, Sink, Stdio, Stream } from "effect"
import { McpProtocol, McpSchema, McpServer } from "effect/ai"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as DuplexPair from "../../../core/net/DuplexPair.ts"
import * as CallTrace from "../CallTrace.ts"
import type { Child } from "./Child.ts"

/** What the server offers, and as what. `registrations` are built anew for each client. */
export interface Options {
  readonly name: string
  readonly version: string
  readonly instructions?: string
  readonly registrations: Layer.Layer<never, unknown, McpServer.McpServer>
}

/** How the call that a handler works on tells its steps; outside of calls, and for clients that do not listen, nowhere. */
export interface Step {
  readonly progress: number
  readonly total?: number
  readonly message?: string
}

/** Tells a step of the call that this fiber works on; done when it is on its way. */
export const CurrentCall: Context.Reference<(step: Step) => Effect.Effect<void>> = Context.Reference(
  "effect-pilot/actors/mcp/server/EffectServer/CurrentCall",
  { defaultValue: () => (_step) => Effect.void }
)

/** A server in the surrounding scope. Registrations that fail end it, with their reason in `exited`. */
export const open = Effect.fn("EffectServer.open")(function* (
  options: Options
): Effect.fn.Return<Child, never, Scope.Scope> {
  const [near, far] = yield* DuplexPair.make
  const exited = yield* Deferred.make<string>()
  const notes: Array<string> = []
  const server = McpServer.layerStdio({
    name: options.name,
    version: options.version,
    ...(options.instructions === undefined ? {} : { instructions: options.instructions }),
    protocols: PROTOCOLS,
    registrations: Layer.mergeAll(options.registrations, calls)
  }).pipe(Layer.provide(Layer.succeed(Stdio.Stdio, stdioOf(far))))
  // Fresh: another server of this process must not lend its tools to this client.
  yield* Layer.launch(Layer.fresh(server)).pipe(
    Effect.exit,
    Effect.flatMap((exit) => {
      const why = reasonOf(exit)
      notes.push(why)
      return Effect.andThen(far.end, Deferred.succeed(exited, why))
    }),
    Effect.onInterrupt(() => Effect.andThen(far.end, Deferred.succeed(exited, "it was stopped"))),
    Effect.forkScoped
  )
  return {
    pid: undefined,
    stdio: near,
    exited: Deferred.await(exited),
    stderrTail: Effect.sync(() => [...notes])
  }
})

/** Its input ends without an error, so that the server stops instead of reading again. */
const stdioOf = (stream: Duplex): Stdio.Stdio => {
  const write = (chunk: string | Uint8Array) => stream.write(typeof chunk === "string" ? Bytes.fromUtf8(chunk) : chunk)
  return Stdio.make({
    args: Effect.succeed([]),
    stdin: Stream.fromPull(Effect.succeed(Effect.map(stream.read, (chunk) => [chunk] as const))),
    stdout: () => Sink.forEach(write),
    stderr: () => Sink.drain
  })
}

/** What surrounds every call: its caller's span is the parent, and its steps reach the caller. */
const calls = McpServer.middleware((effect, { method, requestContext, target }) =>
  Effect.gen(function* () {
    const meta = requestContext.requestMetadata
    const token = member(meta, "progressToken")
    const parent = member(meta, "traceparent")
    const registry = yield* Effect.serviceOption(McpServer.McpServer)
    const told =
      (typeof token === "string" || typeof token === "number") && Option.isSome(registry)
        ? (step: Step) =>
            registry.value.notifications["notifications/progress"]({ progressToken: token, ...step }).pipe(
              Effect.provideService(McpSchema.McpRequestContext, requestContext),
              Effect.ignore
            )
        : undefined
    const running = told === undefined ? effect : Effect.provideService(effect, CurrentCall, told)
    const span = typeof parent === "string" ? CallTrace.parse(parent) : undefined
    if (span === undefined) return yield* running
    const { name, ...options } = CallTrace.named("server", method, target)
    return yield* Effect.withSpan(running, name, { ...options, parent: span })
  })
).layerGlobal

const member = (meta: unknown, key: string): unknown =>
  typeof meta === "object" && meta !== null && Object.hasOwn(meta, key)
    ? Object.entries(meta).find(([name]) => name === key)?.[1]
    : undefined

const reasonOf = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.match(exit, {
    onSuccess: () => "it ended",
    onFailure: (cause: Cause.Cause<unknown>) => `it ended: ${cause}`
  })

/** Both eras, newest first. */
const PROTOCOLS = [
  McpProtocol.v2026_07_28,
  McpProtocol.v2025_11_25,
  McpProtocol.v2025_06_18,
  McpProtocol.v2025_03_26,
  McpProtocol.v2024_11_05
] as const
