/** An `HttpApi` as a user would write it, on a virtual port: it greets whoever calls. */
import { Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServerRequest } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Pilot } from "effect-pilot"

const Greeting = HttpApiGroup.make("greeting").add(
  HttpApiEndpoint.get("hello", "/hello", {
    success: Schema.Struct({ to: Schema.String, header: Schema.String, traceId: Schema.String })
  })
)

/** The API. */
export const Api = HttpApi.make("api").add(Greeting)

/** Served on a port for one peer. */
export const served = (port: number, allow: string) =>
  HttpRouter.serve(HttpApiBuilder.layer(Api).pipe(Layer.provide(greeting)), {
    disableListenLog: true,
    disableLogger: true
  }).pipe(Layer.provide(Pilot.httpServer({ port, allow: [allow] })))

const greeting = HttpApiBuilder.group(Api, "greeting", (handle) =>
  handle.handle("hello", () =>
    Effect.gen(function* () {
      const { headers } = yield* HttpServerRequest.HttpServerRequest
      const { hostname } = yield* Pilot.caller
      // What Effect's server makes the parent of its span, where a tracer is there to hear of it.
      const traceId = headers["traceparent"]?.split("-")[1] ?? ""
      return { to: hostname, header: headers["pilot-caller-hostname"] ?? "", traceId }
    })
  )
)
