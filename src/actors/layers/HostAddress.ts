/** Host names in configurations become addresses before the packet path sees them. */
import { Effect } from "effect"
import { AddressResolver, NetAddress } from "effect/net"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import { NodeError } from "./NodeError.ts"

/** `host:port` or `[v6]:port` in two; the configuration's schema has checked the form. */
export const split = (text: string): Endpoint => {
  const colon = text.lastIndexOf(":")
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(text.slice(colon + 1)) }
}

/** The first address of the host, an IPv4 one if it has one, because the tunnel socket is IPv4 unless told otherwise. */
export const resolve = Effect.fn("HostAddress.resolve")(function* (
  text: string
): Effect.fn.Return<Endpoint, NodeError, AddressResolver.AddressResolver> {
  const { host, port } = split(text)
  if (isLiteral(host)) return { host, port }
  const resolver = yield* AddressResolver.AddressResolver
  const addresses = yield* Effect.mapError(
    resolver.resolve({ host, port }),
    (error) =>
      new NodeError({
        reason: "HostUnknown",
        detail: `${host} has no address: ${error.message}`,
        hint: "check the name, or give an address instead"
      })
  )
  const chosen = addresses.find(NetAddress.isInetAddressV4) ?? addresses[0]
  return { host: NetAddress.formatIp(chosen.address), port }
})

/** Where to listen. */
export interface Listening extends Endpoint {
  /** In the other address family, too, where the host has it. */
  readonly isBothFamilies: boolean
}

/**
 * Every interface in both families, unless a host is named. The family that the beacon has comes first: whoever has no address
 * of that has no beacon.
 */
export const listening = (text: string, beacon: Endpoint | undefined) => {
  const isBothFamilies = text.startsWith(":")
  const place = isBothFamilies ? `${beacon?.host.includes(":") ? "[::]" : "0.0.0.0"}${text}` : text
  return Effect.map(resolve(place), (endpoint): Listening => ({ ...endpoint, isBothFamilies }))
}

const isLiteral = (host: string): boolean => host.includes(":") || /^[0-9.]+$/.test(host)
