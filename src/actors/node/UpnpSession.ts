/**
 * One attempt at a port of the router's outside address by UPnP, held for as long as it works.
 *
 * Only the default gateway is asked: an answer to the search from anybody else, or one that leads to another host, is none, since
 * anybody on the network may give one. Everything is bounded, in length and in time, and nobody waits for it.
 */
import { Effect, Queue, type Scope } from "effect"
import * as AddressScope from "../../core/data/AddressScope.ts"
import type { Gateway } from "../../core/net/Gateway.ts"
import type { Ask } from "../../core/net/RouterHttp.ts"
import type { UdpEndpoint } from "../../core/net/UdpEndpoint.ts"
import { LIFETIME_SECONDS, type PortMapping } from "../../nat/PortMapClient.ts"
import * as UpnpMessage from "../../protocol/wire/UpnpMessage.ts"

/** For which port, of whom, and who wants to know. */
export interface Options {
  readonly udp: UdpEndpoint["Service"]
  readonly ask: Ask
  readonly router: Gateway
  readonly internalPort: number
  /** A number below its argument. */
  readonly random: (below: number) => number
  readonly changed: (mapping: PortMapping | undefined) => void
}

/**
 * Completes with what kept it from a port, or took it away; in words for people, `undefined` if there is no such router. The scope's end
 * gives the port back.
 */
export const hold = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<string | undefined, never, Scope.Scope> {
  const location = yield* Effect.scoped(found(options))
  if (location === undefined) return undefined
  return yield* Effect.catch(held(options, location), ({ detail }) => Effect.succeed(detail))
})

interface Refused {
  readonly detail: string
}

const refused = (detail: string): Effect.Effect<never, Refused> => Effect.fail({ detail })

/** Searches three times; the first answer of the gateway counts. */
const found = Effect.fnUntraced(function* ({ router, udp }: Options) {
  const bound = yield* Effect.option(udp.bind({ host: router.client, port: 0 }))
  if (bound._tag === "None") return undefined
  const socket = bound.value
  const answers = yield* Queue.sliding<URL>(1)
  socket.onBatch((batch) => {
    for (const { bytes, from } of batch) {
      const location = from.host === router.gateway ? UpnpMessage.location(bytes, router.gateway) : undefined
      if (location !== undefined) Queue.offerUnsafe(answers, location)
    }
  })
  for (const pauseMs of SEARCH_PAUSES_MS) {
    for (const to of [UpnpMessage.GROUP, { host: router.gateway, port: UpnpMessage.GROUP.port }])
      socket.send(UpnpMessage.search, to)
    const answer = yield* Effect.timeoutOption(Queue.take(answers), pauseMs)
    if (answer._tag === "Some") return answer.value
  }
  return undefined
})

const held = Effect.fnUntraced(function* (
  options: Options,
  location: URL
): Effect.fn.Return<string, Refused, Scope.Scope> {
  const { changed } = options
  const description = yield* told(options, location, {})
  const service = description.status === 200 ? UpnpMessage.wanConnection(description.text, location) : undefined
  if (service === undefined) return yield* refused("its description has no connection that gives ports")
  const host = UpnpMessage.externalHost((yield* called(options, service, { name: "GetExternalIPAddress" })).text)
  if (host === undefined) return yield* refused("it does not say its outside address")
  // Behind another translator its ports lead nowhere.
  if (AddressScope.isInside(host) || !AddressScope.isUsable(host))
    return yield* refused(`its outside address ${host} is not one of the internet`)
  const given = yield* Effect.acquireRelease(added(options, service), ({ port }) =>
    Effect.ignore(
      Effect.timeoutOption(called(options, service, { name: "DeletePortMapping", externalPort: port }), FAREWELL_MS)
    )
  )
  changed({ protocol: "upnp", external: { host, port: given.port } })
  return yield* Effect.onExit(renewed(options, service, given), () => Effect.sync(() => changed(undefined)))
})

interface Given {
  readonly port: number
  readonly lifetimeSeconds: number
}

/** At half of its life, as the other protocols, until that fails; what is permanent as well, since routers are restarted. */
const renewed = Effect.fnUntraced(function* (options: Options, service: UpnpMessage.WanConnection, given: Given) {
  while (true) {
    yield* Effect.sleep(LIFETIME_SECONDS * 500)
    const answer = yield* called(options, service, adding(options, "AddPortMapping", given))
    if (answer.status !== 200) return yield* refused(`it does not renew the port (${reasonOf(answer.text)})`)
  }
})

/** The own port first, then others; for a while, or for ever where the router knows nothing else. */
const added = Effect.fnUntraced(function* (
  options: Options,
  service: UpnpMessage.WanConnection
): Effect.fn.Return<Given, Refused> {
  const givesAny = UpnpMessage.givesAnyPort(service)
  let [port, lifetimeSeconds, reason] = [options.internalPort, LIFETIME_SECONDS, ""]
  for (let tries = 0; tries < TRIES; tries++) {
    const name = givesAny ? "AddAnyPortMapping" : "AddPortMapping"
    const answer = yield* called(options, service, adding(options, name, { port, lifetimeSeconds }))
    if (answer.status === 200) {
      const reserved = givesAny ? UpnpMessage.reservedPort(answer.text) : port
      return reserved === undefined || reserved === 0 || reserved > PORT_MAX
        ? yield* refused("it does not say which port it gave")
        : { port: reserved, lifetimeSeconds }
    }
    const code = UpnpMessage.errorCode(answer.text)
    if (code === UpnpMessage.ONLY_PERMANENT && lifetimeSeconds > 0) lifetimeSeconds = 0
    else if (code === UpnpMessage.CONFLICT) port = PORT_MIN + options.random(PORT_MAX - PORT_MIN)
    else return yield* refused(`it gives no port (${reasonOf(answer.text)})`)
    reason = reasonOf(answer.text)
  }
  return yield* refused(`it gives no port (${reason})`)
})

const adding = (
  { internalPort, router }: Options,
  name: "AddPortMapping" | "AddAnyPortMapping",
  { lifetimeSeconds, port }: Given
): UpnpMessage.Action => ({ name, externalPort: port, internalPort, client: router.client, lifetimeSeconds })

const reasonOf = (text: string): string => `error ${UpnpMessage.errorCode(text) ?? "unknown"}`

const called = (options: Options, service: UpnpMessage.WanConnection, action: UpnpMessage.Action) =>
  told(options, service.control, UpnpMessage.call(service, action))

const told = (
  { ask }: Options,
  { hostname, pathname, port, search }: URL,
  call: { readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
) =>
  ask({ host: hostname, port: port === "" ? HTTP_PORT : Number(port), path: `${pathname}${search}`, ...call }).pipe(
    Effect.timeoutOrElse({ duration: ANSWER_MS, orElse: () => refused("it does not answer in time") })
  )

/** How long an answer is waited for, after each search. */
const SEARCH_PAUSES_MS = [500, 1_000, 1_500]
/** A router answers within a few milliseconds, an old one within a second. */
const ANSWER_MS = 3_000
/** What the end of a node may cost. */
const FAREWELL_MS = 1_000
/** Ports and lifetimes that are tried. */
const TRIES = 4
/** Below are ports that programs on the router may want. */
const PORT_MIN = 1_024
const PORT_MAX = 65_535
const HTTP_PORT = 80
