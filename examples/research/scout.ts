/**
 * An MCP server that is a program of a node: exposes `fetch`, which gives a web page's text, to every trusted peer. Runs beside a daemon
 * of this user; what it exposes ends with it.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"
import { FetchHttpClient, HttpClient } from "effect/http"
import { Mcp, Pilot } from "effect-pilot"

const Fetch = Tool.make("fetch", {
  description: "Fetches a web page",
  parameters: Schema.Struct({ url: Schema.String }),
  success: Schema.Struct({ text: Schema.String }),
  failure: Schema.Struct({ reason: Schema.String })
})
const Kit = Toolkit.make(Fetch)

/** What clients share, the HTTP client, is a requirement; who calls is known by its key. */
const Handlers = Kit.toLayer(
  Effect.gen(function* () {
    const http = yield* HttpClient.HttpClient
    const caller = yield* Mcp.Caller
    return {
      fetch: Effect.fnUntraced(
        function* ({ url }) {
          yield* Console.log(`${caller.hostname} wants ${url}`)
          yield* Mcp.progress({ progress: 1, total: 2, message: `asking ${new URL(url).host}` })
          const text = yield* Effect.flatMap(http.get(url), (response) => response.text)
          return { text }
        },
        Effect.mapError((error) => ({ reason: error.message }))
      )
    }
  })
)

const Scout = Layer.effectDiscard(
  Effect.gen(function* () {
    yield* Mcp.expose("fetch", Mcp.toolkit(Kit, Handlers), { open: "trusted", title: "Web pages" })
    yield* Console.log("fetch is exposed")
  })
)

Scout.pipe(Layer.provide([Pilot.layerDaemon(), FetchHttpClient.layer]), Layer.launch, NodeRuntime.runMain)
