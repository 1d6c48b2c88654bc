/**
 * Asks the router for a port of its outside address for the tunnel's socket, keeps it, and gives it back at the end
 * (`PortMapClient`), by UPnP where the router knows nothing better (`UpnpSession`).
 *
 * Owns a UDP socket, one client and at most one session. Tells `changed` what it has. Nothing waits for it: a router that does not
 * answer, or gives nothing, is as none. On another network it is run anew.
 */
import { Clock, Effect, FiberHandle, Latch, Predicate, Schedule } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import { Gateway } from "../../core/net/Gateway.ts"
import { RouterHttp } from "../../core/net/RouterHttp.ts"
import type { UdpEndpoint } from "../../core/net/UdpEndpoint.ts"
import { PortMapClient, type PortMapping } from "../../nat/PortMapClient.ts"
import * as PortMapMessage from "../../protocol/wire/PortMapMessage.ts"
import * as UpnpSession from "./UpnpSession.ts"

/** For which port, and who wants to know. */
export interface Options {
  readonly udp: UdpEndpoint["Service"]
  readonly crypto: Crypto["Service"]
  readonly internalPort: number
  /** `detail`: why a router that speaks UPnP gave none. */
  readonly changed: (mapping: PortMapping | undefined, detail: string | undefined) => void
}

/** Keeps a port of the router that leads out of the network this host is in now, and gives it back when interrupted. */
export const run = (options: Options): Effect.Effect<void> => Effect.scoped(keep(options))

const keep = Effect.fnUntraced(function* (options: Options) {
  const found = yield* Effect.repeat(yield* Gateway, { until: Predicate.isNotUndefined, schedule: ARRIVING })
  if (found === undefined) return
  const ask = yield* RouterHttp
  const clock = yield* Clock.Clock
  const nowMs = () => MonotonicTime.nowMsUnsafe(clock)
  const { crypto, internalPort, udp } = options
  const bound = yield* Effect.option(udp.bind({ host: found.client, port: 0 }))
  if (bound._tag === "None") return
  const socket = bound.value
  const router = { host: found.gateway, port: PortMapMessage.PORT }
  const nonce = crypto.randomBytes(PortMapMessage.NONCE_BYTES)
  const client = new PortMapClient({ client: found.client, internalPort, nonce }, nowMs())
  const heard = Latch.makeUnsafe(false)
  const flush = () => {
    for (const bytes of client.take()) socket.send(bytes, router)
  }
  socket.onBatch((batch) => {
    for (const { bytes, from } of batch)
      if (from.host === router.host && from.port === router.port) client.received(bytes, nowMs())
    heard.openUnsafe()
  })
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      client.end()
      flush()
    })
  )
  const told: { mapping?: PortMapping | undefined; detail?: string | undefined } = {}
  let byUpnp: PortMapping | undefined
  const tell = (detail: string | undefined) => {
    const mapping = client.mapping ?? byUpnp
    if (mapping === told.mapping && detail === told.detail) return
    Object.assign(told, { mapping, detail })
    options.changed(mapping, detail)
  }
  const session = yield* FiberHandle.make()
  const upnp =
    ask === undefined
      ? undefined
      : UpnpSession.hold({
          ...{ udp, ask, router: found, internalPort },
          random: (below) => Bytes.readU32(crypto.randomBytes(4), 0) % below,
          changed: (mapping) => {
            byUpnp = mapping
            tell(undefined)
          }
        }).pipe(Effect.scoped, Effect.map(tell))
  let triedBeforeMs: number | undefined
  while (true) {
    heard.closeUnsafe()
    flush()
    if (client.mapping !== undefined) yield* FiberHandle.clear(session)
    else if (client.hasGivenUp && upnp !== undefined && triedBeforeMs !== client.deadlineMs) {
      // Once each time that the client gives up, whatever else wakes this loop.
      triedBeforeMs = client.deadlineMs
      yield* FiberHandle.run(session, upnp, { onlyIfMissing: true })
    }
    tell(client.mapping === undefined ? told.detail : undefined)
    const dueAtMs = client.deadlineMs ?? nowMs()
    yield* Effect.raceFirst(Effect.sleep(Math.max(0, dueAtMs - nowMs())), heard.await)
    client.timeout(nowMs())
  }
})

/** An address comes before its route: whoever has just arrived looks a few times. */
const ARRIVING = Schedule.max([Schedule.exponential("1 second", 4), Schedule.recurs(3)])
