/** Exposing MCP servers to peers from a program: what is exposed, to whom, under which rules (`docs/mcp-api.md`). */
import { Clock, Context, Duration, Effect, Layer, Result, Schema, type Scope } from "effect"
import { McpServer, type Tool, type Toolkit } from "effect/ai"
import type { Service } from "../actors/mcp/keeper/ServiceTable.ts"
import * as EffectServer from "../actors/mcp/server/EffectServer.ts"
import * as Provided from "../core/actor/Provided.ts"
import * as Policy from "../protocol/relay/Policy.ts"
import { DetachAfterMs, ServiceName } from "../protocol/relay/RelayControl.ts"
import * as ToolPattern from "../protocol/relay/ToolPattern.ts"
import { Caller, type Exposed, ExposeError, McpHost, type Open, type Question, type Verdict } from "./McpHost.ts"

/** What is exposed. `R` is what servers of this program need, beside `Caller`. */
export type Source<R = never> =
  | {
      readonly _tag: "Command"
      readonly command: string
      readonly args: ReadonlyArray<string>
      readonly cwd: string | undefined
      readonly env: Readonly<Record<string, string>>
    }
  | { readonly _tag: "Url"; readonly url: string; readonly headers: Readonly<Record<string, string>> }
  | { readonly _tag: "Server"; readonly options: ServerOptions; readonly registrations: Registrations<R> }

/** Layers of `McpServer.toolkit`, `resource`, `prompt` and their like; built anew for each client. */
export type Registrations<R> = Layer.Layer<never, unknown, McpServer.McpServer | CallerMarker | Caller | R>

/** Tools may name `Caller` among their dependencies. */
type CallerMarker = McpServer.McpRequest<"Requires", Caller>

/** What the server says of itself. */
export interface ServerOptions {
  /** The service's name unless told otherwise. */
  readonly name?: string
  readonly version?: string
  readonly instructions?: string
}

/** Who may use it, and how; the flags of `pilotctl mcp expose`. Nobody is allowed until someone is named. */
export interface Access {
  /** Peers by hostname, address or node id; the keys that stand behind them now are what counts. */
  readonly allow?: ReadonlyArray<string>
  /** Every trusted peer may use it, also those trusted later; `public` the same, with a quota for each. */
  readonly open?: "trusted" | "public"
  /** Patterns: `read_*`, `!write_*`, `read_file(path=data/*)`. None means every tool. */
  readonly tools?: ReadonlyArray<string>
  /** Patterns of the tools that may run twice, so that their calls go on with another server when one dies. */
  readonly safe?: ReadonlyArray<string>
  /** What the server says of its tools' harmlessness counts as well. */
  readonly trustHints?: boolean
  /** Calls of tools in `safe` go on when their client gives up, and an identical one later gets the result. */
  readonly park?: boolean
  /** Patterns of the tools whose calls wait until a person allows them: `Mcp.approvals`, `pilotctl mcp approvals`. */
  readonly ask?: ReadonlyArray<string>
  /** How long they wait before they are denied: ten minutes unless told otherwise. */
  readonly askFor?: Duration.Input
  /** Calls that take longer at the server are cancelled. */
  readonly deadline?: Duration.Input
  /** The same for tools by the patterns of their names, which go before `deadline`. */
  readonly deadlines?: Readonly<Record<string, Duration.Input>>
  /** Mounts that do not say otherwise answer a tool that works longer, a second to a day, with a handle or a task. */
  readonly detachAfter?: Duration.Input
  /** What the service is for, to people who look for it. */
  readonly title?: string
  /** Sessions of each peer at once, and so servers. */
  readonly sessions?: number
  /** Bounds for each peer, over all its sessions; what is absent is not bounded. */
  readonly quota?: Partial<Policy.Quota>
  /** The server is told who calls, in `_meta`. Handlers of this program know it by `Caller` anyway. */
  readonly identify?: boolean
  /** Methods that no revision of MCP knows pass as well. */
  readonly transparent?: boolean
  /** What the record of calls holds: hashes unless told otherwise. */
  readonly audit?: "off" | "arguments"
  /** A virtual port of its own, where plain newline-separated JSON-RPC is served as well. */
  readonly port?: number
}

/** A program of this host, started once for each client without a shell. */
export const command = (
  command: string,
  args: ReadonlyArray<string> = [],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {}
): Source => ({ _tag: "Command", command, args, cwd: options.cwd, env: options.env ?? {} })

/** A streamable HTTP server that runs already. The headers stay on this host. */
export const url = (url: string, options: { readonly headers?: Readonly<Record<string, string>> } = {}): Source => ({
  _tag: "Url",
  url,
  headers: options.headers ?? {}
})

/** Whatever `effect/ai` registers with an MCP server: tools, resources, prompts, completions, middleware. */
export const serve = <E, R>(
  registrations: Layer.Layer<never, E, R>,
  options: ServerOptions = {}
): Source<Exclude<R, McpServer.McpServer | CallerMarker | Caller>> => ({
  _tag: "Server",
  options,
  registrations: registrations as Registrations<Exclude<R, McpServer.McpServer | CallerMarker | Caller>>
})

/**
 * The tools of a `Toolkit`, its handlers built for each client, where `Caller` is that client. What all clients share is left
 * in `R` and provided to `expose`.
 */
export const toolkit = <Tools extends Record<string, Tool.Any>, E, R>(
  kit: Toolkit.Toolkit<Tools>,
  handlers: Layer.Layer<Tool.HandlersFor<Tools>, E, R>,
  options: ServerOptions = {}
) => serve(McpServer.toolkit(kit).pipe(Layer.provide(handlers)), options)

/**
 * Exposes it as the service of that name until the scope ends; then its sessions end too. Where it may end before, because the
 * keeper does, wait for `ended`.
 */
export const expose = Effect.fn("Mcp.expose")(function* <R = never>(
  name: string,
  source: Source<R>,
  access: Access = {}
): Effect.fn.Return<Exposed, ExposeError, McpHost | Scope.Scope | R> {
  const host = yield* McpHost
  const service = yield* serviceOf(name, source, access, host)
  if (source._tag !== "Server") return yield* host.hold(service, undefined)
  const context = yield* Provided.services<R>()
  return yield* host.hold(service, opening(name, source, context as Context.Context<R>))
})

/** The same as a layer, which fails when it cannot be exposed; one that ends before the layer does is logged. */
export const layer = <R = never>(
  name: string,
  source: Source<R>,
  access: Access = {}
): Layer.Layer<never, ExposeError, McpHost | R> =>
  Layer.effectDiscard(
    Effect.flatMap(expose(name, source, access), ({ ended }) =>
      Effect.forkScoped(
        Effect.catch(ended, ({ message }) => Effect.logError(`mcp: ${name} is exposed no more: ${message}`))
      )
    )
  )

/** The calls that wait to be approved, of all services that are exposed beside this node, or by `pilotctl` on it. */
export const approvals: Effect.Effect<ReadonlyArray<Question>, ExposeError, McpHost> = Effect.flatMap(
  McpHost,
  (host) => host.approvals.waiting
)

/** Answers one of them. */
export const decide = (id: string, verdict: Verdict): Effect.Effect<void, ExposeError, McpHost> =>
  Effect.flatMap(McpHost, (host) => host.approvals.decide(id, verdict))

const opening =
  <R>(
    name: string,
    { options, registrations }: Extract<Source<R>, { readonly _tag: "Server" }>,
    context: Context.Context<R>
  ): Open =>
  (caller) =>
    EffectServer.open({
      name: options.name ?? name,
      version: options.version ?? "1.0.0",
      ...(options.instructions === undefined ? {} : { instructions: options.instructions }),
      registrations: registrations.pipe(
        Layer.provide(callers(caller)),
        Layer.provide(Layer.succeedContext(Context.add(context, Caller, caller)))
      )
    })

/** For tools that depend on it, the caller of each call. */
const callers = (caller: Caller["Service"]) =>
  McpServer.middleware<{ provides: Caller }>()((effect) => Effect.provideService(effect, Caller, caller)).layer

const serviceOf = Effect.fnUntraced(function* <R>(
  name: string,
  source: Source<R>,
  access: Access,
  host: McpHost["Service"]
): Effect.fn.Return<Service, ExposeError> {
  if (!Schema.is(ServiceName)(name)) return yield* invalid(`${JSON.stringify(name)} is no name of a service`)
  const rules = yield* Effect.fromResult(rulesOf(access))
  const common = {
    name,
    allowed: yield* Effect.forEach(access.allow ?? [], host.peer),
    createdAtSeconds: Math.floor((yield* Clock.currentTimeMillis) / 1000),
    rules,
    ...(access.title === undefined ? {} : { title: access.title }),
    ...(access.port === undefined ? {} : { port: access.port })
  }
  switch (source._tag) {
    case "Command": {
      const { args, command, cwd, env } = source
      return { ...common, command, args, env, ...(cwd === undefined ? {} : { cwd }) }
    }
    case "Url":
      return { ...common, url: source.url, headers: source.headers }
    case "Server":
      return { ...common, program: `${process.title} (pid ${process.pid})` }
  }
})

const rulesOf = (access: Access): Result.Result<Policy.Rules, ExposeError> => {
  const { audit, identify = false, open, park, safe, sessions, tools = [], transparent = false, trustHints } = access
  const { ask } = access
  if (sessions !== undefined && !(Number.isInteger(sessions) && sessions > 0 && sessions <= Policy.SESSIONS_MAX)) {
    return Result.fail(invalid(`${sessions} is no number of sessions: 1 to ${Policy.SESSIONS_MAX}`))
  }
  if (park === true && (safe ?? []).length === 0) return Result.fail(invalid("park parks nothing without safe"))
  const wrong = [...tools, ...(safe ?? []), ...(ask ?? [])].find((text) => ToolPattern.parse(text) === undefined)
  if (wrong !== undefined) return Result.fail(invalid(`${JSON.stringify(wrong)} is no pattern for tools`))
  const detachAfterMs =
    access.detachAfter === undefined ? undefined : Duration.toMillis(Duration.fromInputUnsafe(access.detachAfter))
  if (detachAfterMs !== undefined && !Schema.is(DetachAfterMs)(detachAfterMs)) {
    return Result.fail(invalid("detachAfter is a second at least, and a day at most"))
  }
  const bounds = open === "public" ? { ...Policy.QUOTA_PUBLIC, ...access.quota } : access.quota
  return Result.map(timesOf(access), (times) => ({
    tools,
    identify,
    transparent,
    ...times,
    ...(ask === undefined ? {} : { ask }),
    ...(open === undefined ? {} : { open }),
    ...(safe === undefined ? {} : { safe }),
    ...(park === undefined ? {} : { park }),
    ...(detachAfterMs === undefined ? {} : { detachAfterMs }),
    ...(sessions === undefined ? {} : { sessions }),
    ...(trustHints === undefined ? {} : { trustHints }),
    ...(audit === undefined ? {} : { audit }),
    ...(bounds === undefined ? {} : { quota: { ...UNBOUNDED, ...bounds } })
  }))
}

const timesOf = (access: Access): Result.Result<Pick<Policy.Rules, "askMs" | "deadlines">, ExposeError> => {
  const msOf = (input: Duration.Input): number => Math.round(Duration.toMillis(Duration.fromInputUnsafe(input)))
  const askMs = access.askFor === undefined ? undefined : msOf(access.askFor)
  if (askMs !== undefined && !(askMs >= 1000 && askMs <= Policy.ASK_MAX_MS)) {
    return Result.fail(invalid("askFor is a second at least, and a day at most"))
  }
  const deadlines = [
    ...Object.entries(access.deadlines ?? {}),
    ...(access.deadline === undefined ? [] : [["*", access.deadline] as const])
  ].map(([tools, input]) => ({ tools, ms: msOf(input) }))
  const wrong = deadlines.find(({ ms, tools }) => {
    const pattern = ToolPattern.parse(tools)
    const isName = pattern !== undefined && !pattern.isDenial && pattern.args.length === 0
    return !isName || !(ms >= Policy.DEADLINE_MIN_MS && ms <= Policy.DEADLINE_MAX_MS)
  })
  if (wrong !== undefined || deadlines.length > Policy.DEADLINES_MAX) {
    return Result.fail(invalid(`${JSON.stringify(wrong?.tools ?? "so many")} with ${wrong?.ms ?? 0} ms is no deadline`))
  }
  return Result.succeed({
    ...(askMs === undefined ? {} : { askMs }),
    ...(deadlines.length === 0 ? {} : { deadlines })
  })
}

const invalid = (detail: string) => new ExposeError({ reason: "Invalid", detail })

const UNBOUNDED: Policy.Quota = {
  callsPerMinute: Number.MAX_SAFE_INTEGER,
  concurrent: Number.MAX_SAFE_INTEGER,
  bytesPerMinute: Number.MAX_SAFE_INTEGER
}
