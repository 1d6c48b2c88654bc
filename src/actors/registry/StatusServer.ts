/**
 * The HTTP side of a rendezvous (rendezvous §6): a page, statistics, badges, metrics, health. Everything is read-only
 * and shows no endpoint, key, name or owner; metrics are for this machine alone.
 */
import { Clock, Effect, Option, type Scope } from "effect"
import { Headers, type HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import * as GoJson from "../../core/data/GoJson.ts"
import * as IpAddress from "../../core/data/IpAddress.ts"
import type { RegistryStatistics } from "../../protocol/registry/RegistryStatistics.ts"
import * as Badge from "./Badge.ts"
import * as Prometheus from "./Prometheus.ts"
import type { RegistryServer } from "./RegistryServerActor.ts"
import * as StatusJson from "./StatusJson.ts"
import * as StatusPage from "./StatusPage.ts"

/** Serves the status of a registry on `server` until the surrounding scope ends. */
export const spawn = Effect.fn("StatusServer.spawn")(function* (
  server: HttpServer.HttpServer["Service"],
  registry: RegistryServer
): Effect.fn.Return<void, never, Scope.Scope> {
  const clock = yield* Clock.clockWith(Effect.succeed)
  const source = makeSource(registry, clock)
  yield* server.serve(Effect.map(HttpServerRequest.HttpServerRequest, (request) => answer(source, request)))
})

/** Where the answers come from. */
interface Source {
  readonly registry: RegistryServer
  /** At most a second old: anybody may ask, and each collection walks the whole registry. */
  readonly statistics: () => RegistryStatistics
  readonly uptimeSeconds: () => number
}

const makeSource = (registry: RegistryServer, clock: Clock.Clock): Source => {
  const startedAtMs = MonotonicTime.nowMsUnsafe(clock)
  let collectedAtMs = Number.NEGATIVE_INFINITY
  let collected: RegistryStatistics | undefined
  return {
    registry,
    uptimeSeconds: () => (MonotonicTime.nowMsUnsafe(clock) - startedAtMs) / 1000,
    statistics: () => {
      const nowMs = MonotonicTime.nowMsUnsafe(clock)
      if (collected === undefined || nowMs - collectedAtMs >= STATISTICS_LIFE_MS) {
        collected = registry.statistics(nowMs)
        collectedAtMs = nowMs
      }
      return collected
    }
  }
}

const answer = (
  source: Source,
  request: HttpServerRequest.HttpServerRequest
): HttpServerResponse.HttpServerResponse => {
  const [path = "/"] = request.url.split("?")
  if (path === "/") return HttpServerResponse.text(StatusPage.HTML, { contentType: "text/html; charset=utf-8" })
  if (path === "/healthz") return HttpServerResponse.text("ok\n", { contentType: PLAIN })
  if (path === "/metrics") return metrics(source, request)
  if (path === "/api/stats") return statistics(source)
  const badge = path.startsWith(BADGE_PREFIX) ? badgeOf(source, path.slice(BADGE_PREFIX.length)) : undefined
  return badge === undefined ? refusal(404, "404 page not found\n") : badgeResponse(badge)
}

const statistics = (source: Source): HttpServerResponse.HttpServerResponse => {
  const { totalRequests } = source.registry.metrics
  const body = StatusJson.make(source.statistics(), totalRequests, source.uptimeSeconds())
  return HttpServerResponse.text(`${GoJson.encodeOrdered(body)}\n`, {
    contentType: "application/json",
    headers: { "access-control-allow-origin": "*" }
  })
}

const metrics = (
  source: Source,
  request: HttpServerRequest.HttpServerRequest
): HttpServerResponse.HttpServerResponse => {
  // The address of the socket, never a header: a header is whatever the client writes. The host it asked for must be
  // local too, or any web page open on this machine could read along (DNS rebinding).
  const isLocal =
    Option.exists(request.peerAddress, isLoopback) &&
    Option.exists(Headers.get(request.headers, "host"), isLoopbackHost)
  if (!isLocal) return refusal(403, "Forbidden\n")
  const body = Prometheus.render(source.registry.metrics, source.statistics(), source.uptimeSeconds())
  return HttpServerResponse.text(body, { contentType: "text/plain; version=0.0.4; charset=utf-8" })
}

const badgeOf = (source: Source, name: string): Badge.Badge | undefined => {
  const { activeNodes, totalTrustLinks, uniqueTags, taskExecutors } = source.statistics()
  const of = (label: string, value: number, colour: string): Badge.Badge => ({
    label,
    value,
    colour: value === 0 ? "#9f9f9f" : colour
  })
  switch (name) {
    case "nodes":
      return of("online nodes", activeNodes, "#4c1")
    case "trust":
      return of("trust links", totalTrustLinks, "#58a6ff")
    case "requests":
      return { label: "requests", value: source.registry.metrics.totalRequests, colour: "#a855f7" }
    case "tags":
      return of("tags", uniqueTags, "#f59e0b")
    case "task-executors":
      return of("task executors", taskExecutors, "#4c1")
    default:
      return undefined
  }
}

const badgeResponse = (badge: Badge.Badge): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(Badge.render(badge), {
    contentType: "image/svg+xml",
    headers: {
      "access-control-allow-origin": "*",
      "cache-control": "no-cache, no-store, must-revalidate"
    }
  })

const refusal = (status: number, text: string): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(text, { status, contentType: PLAIN, headers: { "x-content-type-options": "nosniff" } })

const isLoopback = (address: string): boolean => {
  const host = IpAddress.canonical(address)
  return host !== undefined && (host === "::1" || host.startsWith("127."))
}

const isLoopbackHost = (header: string): boolean => {
  const host = header.replace(/:[0-9]*$/, "").replace(/^\[(.*)\]$/, "$1")
  return host === "localhost" || isLoopback(host)
}

const BADGE_PREFIX = "/api/badge/"
const PLAIN = "text/plain; charset=utf-8"
const STATISTICS_LIFE_MS = 1000
