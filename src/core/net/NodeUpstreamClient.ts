/** Effect's `HttpClient` on `node:http`, connections kept open between requests. It follows no redirect by itself. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Layer } from "effect"
import type { HttpClient } from "effect/http"

/** The client; the end of its scope closes its connections. */
export const layer: Layer.Layer<HttpClient.HttpClient> = Layer.provide(
  NodeHttpClient.layerNodeHttpNoAgent,
  NodeHttpClient.layerAgentOptions({ keepAlive: true })
)
