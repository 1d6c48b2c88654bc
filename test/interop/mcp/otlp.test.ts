import { request } from "node:http"
import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Effect, Layer, Schema, type Scope } from "effect"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import * as Mcp from "../../../src/api/Mcp.ts"
import * as NodeTelemetry from "../../../src/core/net/NodeTelemetry.ts"
import * as McpOverPilot from "../../support/McpOverPilot.ts"
import * as OtlpCollector from "../../support/OtlpCollector.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

const FIXTURE = new URL("FixtureServer.ts", import.meta.url).pathname
const KINDS = { internal: 1, server: 2, client: 3 } as const

describe("NodeTelemetry", () => {
  it.live("a span reaches a collector over HTTP, with the service's name, at the latest when the program ends", () =>
    Effect.gen(function* () {
      const collector = yield* OtlpCollector.make
      yield* Effect.withSpan(Effect.void, "tools/call add").pipe(
        Effect.provide(NodeTelemetry.layer("pilot-mount", collector.url))
      )
      const { process } = yield* collector.span(({ name }) => name === "tools/call add")
      assert.strictEqual(process, "pilot-mount")
      assert.deepStrictEqual([...collector.paths], ["/v1/traces"])
    })
  )
})

/** `mcp-host`, whose keeper sends its spans to the collector, exposes a service to `agent`. */
class Stage extends Context.Service<
  Stage,
  { readonly collector: OtlpCollector.OtlpCollector; readonly host: string; readonly agent: string }
>()("test/mcp/otlp/Stage") {}

const stage = (turnedOn: "variable" | "config.json") =>
  Layer.effect(
    Stage,
    Effect.gen(function* () {
      const collector = yield* OtlpCollector.make
      const network = yield* PilotNetwork.make
      const [agent, host] = yield* PilotNetwork.startPair(network, "agent", "mcp-host")
      if (turnedOn === "config.json") {
        yield* Pilotctl.run(host.home, "config", "--set", `otlp_endpoint=${collector.url}`)
      }
      const exposed = yield* PilotProcesses.pilotctl(
        host.home,
        ["mcp", "expose", "fixture", "--allow", "agent", "--", process.execPath, FIXTURE],
        turnedOn === "variable" ? { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } : {}
      )
      assert.strictEqual(exposed.exitCode, 0, exposed.stderr)
      return { collector, host: host.home, agent: agent.home }
    })
  )

/** One call of a program, in a span of its own that is sent to the collector; gives what the server saw in `_meta`. */
const program = (
  collector: OtlpCollector.OtlpCollector,
  name: string,
  open: Effect.Effect<Mcp.McpServer, Mcp.McpError, Scope.Scope>
) =>
  Effect.gen(function* () {
    const server = yield* open
    const { text } = yield* Effect.withSpan(server.call("meta"), name)
    return Schema.decodeUnknownSync(Meta)(text)
  }).pipe(Effect.scoped, Effect.provide(NodeTelemetry.layer("program", collector.url)))
const Meta = Schema.fromJsonString(Schema.Struct({ traceparent: Schema.String }))

/** The spans of one call, once all of them were received, checked: one trace, every parent the program's client span. */
const oneTrace = Effect.fnUntraced(function* (
  collector: OtlpCollector.OtlpCollector,
  name: string,
  { traceparent }: { readonly traceparent: string }
) {
  const root = yield* collector.span((span) => span.name === name)
  const isOurs = (process: string) => (span: OtlpCollector.Received) =>
    span.process === process && span.name === "tools/call meta" && span.traceId === root.traceId
  const client = yield* collector.span(isOurs("program"))
  const mount = yield* collector.span(isOurs("pilot-mount"))
  const keeper = yield* collector.span(isOurs("pilot-keeper"))

  assert.deepInclude(root, { process: "program", parentSpanId: "" })
  assert.deepInclude(client, { parentSpanId: root.spanId, kind: KINDS.client })
  assert.deepInclude(mount, { parentSpanId: client.spanId, kind: KINDS.internal })
  assert.strictEqual(mount.attributes["mcp.service"], "mcp-host/fixture")
  assert.deepInclude(keeper, { parentSpanId: client.spanId, kind: KINDS.server })
  assert.strictEqual(keeper.attributes["mcp.service"], "fixture")
  assert.strictEqual(traceparent, `00-${root.traceId}-${client.spanId}-01`)
})

/** The mount as a child of the program. */
const mounted = (home: string, flags: ReadonlyArray<string>, variables: Readonly<Record<string, string>> = {}) =>
  Mcp.stdio(process.execPath, [Pilotctl.PROGRAM, "mcp", "mount", "mcp-host/fixture", ...flags], {
    env: { ...Pilotctl.environment(home), ...variables }
  })

/** The mount as an HTTP endpoint that wants no token. */
const httpMount = Effect.fnUntraced(function* (home: string, flags: ReadonlyArray<string>) {
  const words = ["mcp", "mount", "mcp-host/fixture", "--http", "127.0.0.1:0", "--no-token", ...flags]
  const { output, printed } = yield* PilotProcesses.watch(
    process.execPath,
    [Pilotctl.PROGRAM, ...words],
    Pilotctl.environment(home)
  )
  yield* printed("no token is needed")
  const [, url = ""] = /^serving \S+ at (http:\S+)$/m.exec(output()) ?? []
  return { output, url }
})

/** The status of a page that calls this machine by another name. */
const statusAs = (url: string, host: string) =>
  Effect.callback<number>((resume) => {
    request(url, { headers: { host } }, (response) => {
      response.resume()
      resume(Effect.succeed(response.statusCode ?? 0))
    }).end()
  })

const Status = Schema.Struct({
  calls: Schema.Array(
    Schema.Struct({
      service: Schema.String,
      tool: Schema.String,
      in_flight: Schema.Number,
      bytes_in: Schema.Number,
      outcomes: Schema.Record(Schema.String, Schema.Number),
      buckets: Schema.Array(Schema.Struct({ le: Schema.NullOr(Schema.Number), count: Schema.Number }))
    })
  )
})

layer(stage("variable"), { excludeTestServices: true, timeout: "60 seconds" })(
  "one trace across program, mount, two daemons, keeper and server (mcp §1.4)",
  (it) => {
    it.effect("mount --otlp; the keeper by its environment; the server sees the program's context in _meta", () =>
      Effect.gen(function* () {
        const { agent, collector } = yield* Stage
        const seen = yield* program(collector, "by flag", mounted(agent, ["--otlp", collector.url]))
        yield* oneTrace(collector, "by flag", seen)
      })
    )

    it.effect("the mount by OTEL_EXPORTER_OTLP_ENDPOINT", () =>
      Effect.gen(function* () {
        const { agent, collector } = yield* Stage
        const variables = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }
        const seen = yield* program(collector, "by variable", mounted(agent, [], variables))
        yield* oneTrace(collector, "by variable", seen)
      })
    )

    it.effect("mount --http makes spans as well: the root of a client that names no trace, the keeper's under it", () =>
      Effect.gen(function* () {
        const { agent, collector } = yield* Stage
        const before = collector.spans().length
        const { url } = yield* httpMount(agent, ["--otlp", collector.url])
        const client = yield* McpOverPilot.sdk1Http(url, "")
        const { traceparent } = Schema.decodeUnknownSync(Meta)(yield* client.call("meta", {}))

        const isNew = (process: string) => (span: OtlpCollector.Received) =>
          collector.spans().indexOf(span) >= before && span.process === process && span.name === "tools/call meta"
        const mount = yield* collector.span(isNew("pilot-mount"))
        const keeper = yield* collector.span(isNew("pilot-keeper"))
        assert.deepInclude(mount, { parentSpanId: "" })
        assert.deepInclude(keeper, { traceId: mount.traceId, parentSpanId: mount.spanId })
        assert.strictEqual(traceparent, `00-${mount.traceId}-${mount.spanId}-01`)
        assert.isFalse(collector.spans().some(({ name }) => name.startsWith("http.server")))
      }).pipe(Effect.scoped)
    )

    it.effect("what was called is counted: mcp status, mcp metrics, and /metrics of a mount", () =>
      Effect.gen(function* () {
        const { agent, host } = yield* Stage
        const { output, url } = yield* httpMount(agent, ["--metrics", "127.0.0.1:0"])
        const [, place = ""] = /^metrics at (http:\S+)$/m.exec(output()) ?? []
        const client = yield* McpOverPilot.sdk1Http(url, "")
        yield* client.call("remember", { value: "a" })
        yield* client.call("remember", { value: "b" })
        const text = yield* Effect.promise(() => fetch(place).then((response) => response.text()))
        const ofMount = 'service="fixture",peer="mcp-host",method="tools/call",tool="remember"'
        assert.include(text, `pilot_mcp_calls_total{${ofMount},outcome="ok"} 2\n`)
        assert.include(text, `pilot_mcp_call_duration_seconds_count{${ofMount}} 2\n`)
        assert.strictEqual(yield* statusAs(place, "evil.example"), 403)

        const { stdout } = yield* PilotProcesses.pilotctl(host, ["mcp", "metrics"])
        assert.match(
          stdout,
          /^pilot_mcp_calls_total\{service="fixture",peer="[0-9A-F:.]+",method="tools\/call",tool="remember",outcome="ok"\} 2$/m
        )
        const { calls } = Schema.decodeUnknownSync(Status)(yield* Pilotctl.run(host, "mcp", "status"))
        const remembered = calls.find(({ tool }) => tool === "remember")
        assert.deepInclude(remembered, { service: "fixture", in_flight: 0 })
        assert.strictEqual(remembered?.outcomes["ok"], 2)
        assert.isAbove(remembered?.bytes_in ?? 0, 0)
        assert.deepStrictEqual(remembered?.buckets.at(-1), { le: null, count: 2 })
        const words = yield* PilotProcesses.pilotctl(host, ["mcp", "status"])
        assert.match(words.stdout, /^ {2}fixture: tool calls: \d+ answered; half took at most /m)
      }).pipe(Effect.scoped)
    )

    it.effect("--metrics is for this machine only", () =>
      Effect.gen(function* () {
        const { agent } = yield* Stage
        const refused = yield* PilotProcesses.pilotctl(agent, [
          ...["mcp", "mount", "mcp-host/fixture", "--metrics", "0.0.0.0:9464"]
        ])
        assert.strictEqual(refused.exitCode, 1, refused.stderr)
        assert.include(refused.stderr, "this machine only")
      })
    )
  }
)

layer(stage("config.json"), { excludeTestServices: true, timeout: "60 seconds" })(
  "otlp_endpoint of config.json",
  (it) => {
    it.effect("turns the keeper's spans on where no variable is set", () =>
      Effect.gen(function* () {
        const { agent, collector } = yield* Stage
        const seen = yield* program(collector, "by config", mounted(agent, ["--otlp", collector.url]))
        yield* oneTrace(collector, "by config", seen)
      })
    )
  }
)
