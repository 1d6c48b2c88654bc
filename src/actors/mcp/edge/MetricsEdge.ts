/** `/metrics` of a mount: its counts of calls over HTTP, for a collector on this machine. Read-only. */
import { Effect, type Scope } from "effect"
import { type HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import type { CallMetrics } from "../../../protocol/relay/CallMetrics.ts"
import * as CallMetricsText from "../../../protocol/relay/CallMetricsText.ts"
import * as EdgeDoor from "./EdgeDoor.ts"

/** Serves until the surrounding scope ends. */
export const serve = (
  server: HttpServer.HttpServer["Service"],
  door: EdgeDoor.EdgeDoor,
  metrics: CallMetrics
): Effect.Effect<void, never, Scope.Scope> =>
  server.serve(
    Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
      const refused = EdgeDoor.check(door, request.headers)
      if (refused !== undefined) return HttpServerResponse.text(`${refused.message}\n`, { status: refused.status })
      if (request.url.split("?")[0] !== PATH) return HttpServerResponse.text(`try ${PATH}\n`, { status: 404 })
      if (request.method !== "GET") return HttpServerResponse.text("GET only\n", { status: 405 })
      return HttpServerResponse.text(CallMetricsText.render(metrics.all()), { contentType: TYPE })
    })
  )

/** The one thing that it answers. */
export const PATH = "/metrics"
const TYPE = "text/plain; version=0.0.4; charset=utf-8"
