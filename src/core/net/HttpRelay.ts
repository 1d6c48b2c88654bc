/** HTTP/1.1 passed on between byte streams: requests are read, changed, and sent where a route says. */
import { Context, type Effect, type Scope } from "effect"
import type { Endpoint } from "../data/Endpoint.ts"
import type { Duplex } from "./Duplex.ts"

/** The head of a request. Header names are in lower case. */
export interface HttpHead {
  readonly method: string
  /** As it came: `/path`, `http://host/path` of a proxied request, `host:port` of CONNECT. */
  readonly target: string
  readonly headers: Readonly<Record<string, string | undefined>>
}

/** Where a request goes. */
export interface HttpRoute {
  readonly to: Endpoint | Dialled
  /** Replaces the target; `/path?query`. */
  readonly path: string
  /** Set on the request, in place of what came under these names. */
  readonly headers: Readonly<Record<string, string>>
  /** Headers that begin so do not pass, nor do those that end with this hop. */
  readonly strip: string
}

/** A stream that is opened for one request. */
export interface Dialled {
  readonly dial: Effect.Effect<Duplex<{ readonly message: string }>, { readonly message: string }, Scope.Scope>
}

/** An answer of our own. */
export interface HttpRefusal {
  readonly status: number
  readonly message: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Where each request goes, or its refusal. A CONNECT becomes a tunnel to the route, whose path and headers mean nothing. */
export type HttpRouting = (head: HttpHead) => HttpRoute | HttpRefusal

/** Passes HTTP on. */
export class HttpRelay extends Context.Service<
  HttpRelay,
  {
    /** Serves one client's stream to its end: any number of requests, upgrades (WebSocket) included. */
    readonly serve: (client: Duplex<unknown>, routing: HttpRouting) => Effect.Effect<void>
  }
>()("effect-pilot/core/net/HttpRelay") {}
