/** What `Mcp.expose`, `Mcp.toolkit` and `Mcp.connect` promise, run against every way to have a `Pilot`. */
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Queue, Schema, Scope, Stream } from "effect"
import { Tool, Toolkit } from "effect/ai"
import { Directory, Mcp, Peer, type Pilot } from "effect-pilot"
import * as Pilotctl from "../../examples/demo/Pilotctl.ts"
import * as HttpUpstreams from "../interop/mcp/HttpUpstreams.ts"
import * as Kitchen from "./Kitchen.ts"
import * as PilotNetwork from "./PilotNetwork.ts"
import * as PilotProcesses from "./PilotProcesses.ts"
import type { Variant } from "./PilotSuite.ts"

type Services = Context.Context<Pilot.Pilot | Mcp.McpHost>

/** `host` exposes, `agent` uses; `other` is trusted by the host, and never named. */
class Stage extends Context.Service<
  Stage,
  {
    readonly host: Services
    readonly agent: Services
    readonly other: Services
    readonly daemons: Readonly<Record<"host" | "agent" | "other", PilotNetwork.Daemon>>
    readonly log: Kitchen.Log["Service"]
  }
>()("test/McpApiSuite/Stage") {}

const stage = ({ isOwnNode, open }: Variant<Pilot.Pilot | Mcp.McpHost>) =>
  Layer.effect(
    Stage,
    Effect.gen(function* () {
      const network = yield* PilotNetwork.make
      const start = (name: string) => PilotNetwork.startDaemon(network, name)
      const daemons = yield* Effect.all({ host: start("host"), agent: start("agent"), other: start("other") })
      yield* PilotNetwork.trust(daemons.agent, daemons.host)
      yield* PilotNetwork.trust(daemons.other, daemons.host)
      const opened = Effect.fnUntraced(function* (daemon: PilotNetwork.Daemon) {
        if (isOwnNode) yield* Pilotctl.run(daemon.home, "daemon", "stop")
        yield* Effect.addFinalizer(() => Effect.ignore(Pilotctl.run(daemon.home, "mcp", "stop")))
        return yield* Layer.build(open(network, daemon))
      })
      const log = yield* Kitchen.Log.make
      return {
        daemons,
        log,
        host: yield* opened(daemons.host),
        agent: yield* opened(daemons.agent),
        other: yield* opened(daemons.other)
      }
    })
  )

/** The kitchen, exposed by the host to whom `access` says, as long as the scope lasts. */
const serve = Effect.fnUntraced(function* (name: string, access: Mcp.Access) {
  const { host, log } = yield* Stage
  return yield* Mcp.expose(name, Kitchen.source, access).pipe(
    Effect.provideService(Kitchen.Log, log),
    Effect.provideContext(host)
  )
})

const connect = Effect.fnUntraced(function* (who: "agent" | "other", name: string, options?: Mcp.Options) {
  const services = (yield* Stage)[who]
  return yield* Effect.provideContext(Mcp.connect(name, options), services)
})

const Status = Schema.Struct({
  mounts: Schema.Array(
    Schema.Struct({
      pid: Schema.Number,
      serves: Schema.String,
      sessions: Schema.Array(
        Schema.Struct({
          target: Schema.String,
          verdict: Schema.String,
          connected: Schema.Boolean,
          in_flight: Schema.Number,
          probe: Schema.optionalKey(Schema.Struct({ tools: Schema.Number }))
        })
      )
    })
  )
})

/** Runs the suite. */
export const run = (variant: Variant<Pilot.Pilot | Mcp.McpHost>): void =>
  layer(stage(variant), { excludeTestServices: true, timeout: "60 seconds" })(variant.name, (it) => {
    it.effect("a toolkit of this program is a service of this node; its handlers know the caller", () =>
      Effect.gen(function* () {
        const { daemons } = yield* Stage
        yield* serve("kitchen", { allow: ["agent"] })
        const server = yield* connect("agent", "host/kitchen")
        const kit = yield* Mcp.typed(server, Kitchen.Kit)

        assert.deepStrictEqual(yield* kit.add({ a: 2, b: 3 }), { sum: 5 })
        assert.deepStrictEqual(yield* Effect.flip(kit.divide({ a: 1, b: 0 })), { reason: "division by zero" })
        const { fingerprint, node } = daemons.agent
        assert.deepStrictEqual(yield* kit.whoami(), { node, hostname: "agent", fingerprint })
      }).pipe(Effect.scoped)
    )

    it.effect(
      "pilotctl mcp status shows what this program uses, while it does, and asks its server over the same session",
      () =>
        Effect.gen(function* () {
          const { daemons } = yield* Stage
          const status = (...flags: ReadonlyArray<string>) =>
            Effect.map(Pilotctl.run(daemons.agent.home, "mcp", "status", ...flags), (said) =>
              Schema.decodeUnknownSync(Status)(said).mounts.flatMap(({ pid, serves, sessions }) =>
                pid === process.pid && serves.startsWith("program ")
                  ? sessions.filter(({ target }) => target === "host/watched")
                  : []
              )
            )
          yield* serve("watched", { allow: ["agent"] })
          yield* Effect.scoped(
            Effect.gen(function* () {
              const server = yield* connect("agent", "host/watched")
              yield* server.tools
              assert.deepInclude((yield* status())[0], { verdict: "unknown", connected: true, in_flight: 0 })
              const [probed] = yield* status("--probe")
              assert.deepInclude(probed, { verdict: "healthy" })
              assert.strictEqual(probed?.probe?.tools, (yield* server.tools).length)
            })
          )
          assert.deepStrictEqual(yield* status(), [])
        }).pipe(Effect.scoped)
    )

    it.effect("steps come as a stream, the result last", () =>
      Effect.gen(function* () {
        yield* serve("steps", { allow: ["agent"] })
        const server = yield* connect("agent", "host/steps")

        const updates = yield* Stream.runCollect(server.watch("walk", { steps: 3 }))

        assert.deepStrictEqual(
          updates.map((update) => (update._tag === "Progress" ? update.progress.message : update.result.text)),
          ["step 1", "step 2", "step 3", '"there"']
        )
      }).pipe(Effect.scoped)
    )

    it.effect("interruption crosses the network to the handler", () =>
      Effect.gen(function* () {
        const { log } = yield* Stage
        yield* serve("slow", { allow: ["agent"] })
        const server = yield* connect("agent", "host/slow")
        const call = yield* Effect.forkChild(server.call("cook", { seconds: 3600 }))
        assert.strictEqual(yield* Queue.take(log.started), "agent")

        yield* Fiber.interrupt(call)

        assert.strictEqual(yield* Queue.take(log.ended), "interrupted")
      }).pipe(Effect.scoped)
    )

    it.effect("who is not named gets nothing; everybody trusted does where that is said; patterns hold", () =>
      Effect.gen(function* () {
        yield* serve("named", { allow: ["agent"] })
        yield* serve("open", { open: "trusted", tools: ["add", "who*"] })

        const denied = yield* Effect.flip(connect("other", "host/named"))
        assert.deepInclude(denied, { _tag: "McpError", code: -31003, delivered: false })
        const server = yield* connect("other", "host/open")
        assert.deepStrictEqual(
          (yield* server.tools).map(({ name }) => name),
          ["add", "whoami"]
        )
        const refused = yield* Effect.flip(server.call("walk", { steps: 1 }))
        assert.deepInclude(refused, { _tag: "ToolFailed" })
        assert.include(refused.message, "owner")
      }).pipe(Effect.scoped)
    )

    it.effect("a call waits until this program allows it; a deadline ends one; a mount may have rules too", () =>
      Effect.gen(function* () {
        const { host, log } = yield* Stage
        yield* serve("asking", { allow: ["agent"], ask: ["add"], deadlines: { cook: "200 millis" } })
        const rules = { denyTools: ["walk"] }
        const services = (yield* Stage).agent
        const server = yield* Effect.provideContext(Mcp.connect("host/asking", { rules }), services)
        const desk = <A, E>(effect: Effect.Effect<A, E, Mcp.McpHost>) => Effect.provideContext(effect, host)

        const first = yield* Effect.forkChild(server.call("add", { a: 1, b: 2 }))
        yield* PilotProcesses.until(Effect.map(desk(Mcp.approvals), ({ length }) => length === 1))
        const [question] = yield* desk(Mcp.approvals)
        assert.deepInclude(question, { service: "asking", tool: "add", peer: "agent", parameters: '{"a":1,"b":2}' })
        yield* desk(Mcp.decide(question?.id ?? "", "always"))
        assert.include((yield* Fiber.join(first)).text, "3")
        assert.include((yield* server.call("add", { a: 1, b: 2 })).text, "3")
        const again = yield* Effect.flip(desk(Mcp.decide(question?.id ?? "", "allow")))
        assert.strictEqual(again.reason, "NotWaiting")

        const late = yield* Effect.flip(server.call("cook", { seconds: 3600 }))
        assert.deepInclude(late, { _tag: "McpError", code: -31008, retryable: false, delivered: true })
        assert.strictEqual(yield* Queue.take(log.started), "agent")
        assert.strictEqual(yield* Queue.take(log.ended), "interrupted")

        const denied = yield* Effect.flip(server.call("walk", { steps: 1 }))
        assert.include(denied.message, "The rules of this mount do not allow")
        const wrong = { rules: { tools: ["add("] } }
        const refused = yield* Effect.flip(Effect.provideContext(Mcp.connect("host/asking", wrong), services))
        assert.include(refused.message, "is no pattern")
      }).pipe(Effect.scoped)
    )

    it.effect("what a peer offers is found by words and arguments, and so is the peer; not by whom it is not for", () =>
      Effect.gen(function* () {
        const { agent, daemons, other } = yield* Stage
        yield* serve("sums", { allow: ["agent"] })
        const schema = { properties: { a: { type: "number" }, b: { type: "number" } } }
        const search = Directory.search("adds two numbers", { schema, includePublic: false }).pipe(
          Effect.provide(Directory.fromPilot)
        )
        const { problems, services } = yield* Effect.provideContext(search, agent)
        assert.deepStrictEqual(problems, [])
        assert.deepInclude(services[0], { target: "host/sums", isUsable: true })
        const wanted = Peer.capable("adds two numbers", schema)
        const found = yield* Effect.provideContext(Peer.candidates(wanted), agent)
        assert.deepStrictEqual(
          found.map(({ node }) => node),
          [daemons.host.node]
        )
        const nobody = yield* Effect.flip(Effect.provideContext(Peer.resolve(wanted), other))
        assert.deepInclude(nobody, { _tag: "NoSuchPeer" })
      }).pipe(Effect.scoped)
    )

    it.effect("a service ends with its scope, and its name is free again", () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        yield* Scope.provide(serve("brief", { allow: ["agent"] }), scope)
        const taken = yield* Effect.flip(serve("brief", { allow: ["agent"] }))
        assert.deepInclude(taken, { _tag: "ExposeError", reason: "Taken" })
        const server = yield* connect("agent", "host/brief")
        yield* server.call("add", { a: 1, b: 1 })

        yield* Scope.close(scope, Exit.void)

        const gone = yield* Effect.flip(connect("agent", "host/brief"))
        assert.deepInclude(gone, { _tag: "McpError", delivered: false })
        yield* serve("brief", { allow: ["agent"] })
        yield* connect("agent", "host/brief")
      }).pipe(Effect.scoped)
    )

    it.effect("a command of the host is a service as well", () =>
      Effect.gen(function* () {
        const { host } = yield* Stage
        const source = Mcp.command(process.execPath, [EVERYTHING], { env: { NODE_NO_WARNINGS: "1" } })
        yield* Effect.provideContext(Mcp.expose("everything", source, { allow: ["agent"] }), host)
        const server = yield* connect("agent", "host/everything")

        assert.strictEqual((yield* server.call("echo", { message: "hello" })).text, "Echo: hello")
        assert.isAbove((yield* server.resources).length, 0)
        assert.isAbove((yield* server.prompts).length, 0)
      }).pipe(Effect.scoped)
    )

    it.effect("a server at a URL is a service, with the headers that stay on this host", () =>
      Effect.gen(function* () {
        const { host } = yield* Stage
        const upstream = yield* HttpUpstreams.make
        const source = Mcp.url(upstream.url, { headers: { authorization: "Bearer secret" } })
        yield* Effect.provideContext(Mcp.expose("url", source, { allow: ["agent"] }), host)
        const server = yield* connect("agent", "host/url")

        yield* server.call("remember", { value: "this" })
        assert.strictEqual((yield* server.call("recall")).text, "this")
        const other = yield* connect("agent", "host/url")
        assert.strictEqual((yield* other.call("recall")).text, "")
        assert.isTrue(upstream.requests.every(({ headers }) => headers.authorization === "Bearer secret"))
      }).pipe(Effect.scoped)
    )

    it.effect("a kit that does not fit is told when it is made, not when it is called", () =>
      Effect.gen(function* () {
        yield* serve("misfit", { allow: ["agent"] })
        const server = yield* connect("agent", "host/misfit")
        const Wrong = Toolkit.make(
          Tool.make("add", { parameters: Schema.Struct({ a: Schema.String }), success: Schema.Unknown })
        )

        const failure = yield* Effect.flip(Mcp.typed(server, Wrong))

        assert.strictEqual(failure._tag, "ToolMismatch")
        assert.strictEqual(failure.message, "add: b is required; a is number, not string")
      }).pipe(Effect.scoped)
    )

    it.effect("names that nobody has and patterns that are none are refused before anything is exposed", () =>
      Effect.gen(function* () {
        const reasons = yield* Effect.forEach(
          [
            ["no name", {}],
            ["fine", { allow: ["nobody"] }],
            ["fine", { tools: ["read_file("] }]
          ] as const,
          ([name, access]) => Effect.map(Effect.flip(serve(name, access)), ({ reason }) => reason)
        )

        assert.deepStrictEqual(reasons, ["Invalid", "UnknownPeer", "Invalid"])
      }).pipe(Effect.scoped)
    )
  })

const EVERYTHING = decodeURIComponent(
  new URL("../../node_modules/@modelcontextprotocol/server-everything/dist/index.js", import.meta.url).pathname
)
