/**
 * Everything a rendezvous can be told (rendezvous §1), with its defaults. Every source (command line, configuration
 * file) speaks text; the names are those of the flags in camel case.
 */
import { Effect, Schema, SchemaTransformation } from "effect"

/** A host (`undefined` for every address of the machine) and a port (0 for a free one). */
export interface ListenAddress {
  readonly host: string | undefined
  readonly port: number
}

const matching = (expected: string, pattern: RegExp) =>
  Schema.String.check(Schema.makeFilter((value: string) => pattern.test(value) || `expected ${expected}`))

const Listen = Schema.Struct({ host: Schema.UndefinedOr(Schema.String), port: Schema.Int })

const listenAddress = matching(
  "host:port or :port",
  /^(?:[^\s:[\]]+|\[[0-9a-fA-F:.]+\])?:(?:[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$/
).pipe(
  Schema.decodeTo(
    Listen,
    SchemaTransformation.transform({
      decode: (text) => {
        const colon = text.lastIndexOf(":")
        const host = text.slice(0, colon).replace(/^\[(.*)\]$/, "$1")
        return { host: host === "" ? undefined : host, port: Number(text.slice(colon + 1)) }
      },
      encode: ({ host = "", port }) => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`)
    })
  )
)

const switchText = matching("true or false", /^(?:true|false|1|0|)$/).pipe(
  Schema.decodeTo(
    Schema.Boolean,
    SchemaTransformation.transform({
      decode: (value) => value === "true" || value === "1" || value === "",
      encode: (on) => (on ? "true" : "false")
    })
  ),
  Schema.withDecodingDefaultKey(Effect.succeed("false"))
)

/** What is no address inside is no block, and believes nobody. */
const BLOCKS = /^[0-9a-fA-F.:/, ]*$/
const path = matching("a path", /^[^\0]+$/)

/** One rendezvous's configuration, complete and checked. Encoded, every member is text. */
export const RendezvousConfig = Schema.Struct({
  /** The registry's port, TLS and plain text at once. */
  registryAddr: listenAddress.pipe(Schema.withDecodingDefaultKey(Effect.succeed(":9000"))),
  /** The beacon's UDP port. */
  beaconAddr: listenAddress.pipe(Schema.withDecodingDefaultKey(Effect.succeed(":9001"))),
  /**
   * Another UDP port of the beacon, and another address of this machine with its port: from there nodes find out what their
   * translator does. A free port, and no other address, if absent.
   */
  beaconProbePort: Schema.optionalKey(
    matching("a port", /^(?:[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$/).pipe(
      Schema.decodeTo(Schema.Int, SchemaTransformation.transform({ decode: Number, encode: String }))
    )
  ),
  beaconOtherAddr: Schema.optionalKey(listenAddress),
  /** Where WebSockets are taken (rendezvous §14.5), by TLS with the registry's certificate and in clear; off without. */
  wssAddr: Schema.optionalKey(listenAddress),
  /** Blocks of addresses, divided by commas, of reverse proxies whose `X-Forwarded-For` is believed. */
  wssProxies: matching("blocks of addresses like 10.0.0.0/8, divided by commas", BLOCKS).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(""))
  ),
  /** The status page; off without. */
  http: Schema.optionalKey(listenAddress),
  /** The SQLite file; without one everything is forgotten at the end, the certificate included. */
  store: Schema.optionalKey(path),
  /** PEM files of an operator's own certificate; both or none. */
  tlsCert: Schema.optionalKey(path),
  tlsKey: Schema.optionalKey(path),
  /** Guards reputation and the beacon list. */
  adminToken: Schema.optionalKey(Schema.RedactedFromValue(matching("a token", /./))),
  /**
   * Admits nodes that cannot sign their registration, those of the February 2026 reference. Their endpoint can then be
   * moved by anybody who knows their public key. A key that once registered signed is safe from it.
   */
  compatUnsignedRegister: switchText,
  /** Lets an absent, never signed node come back under a new key by its owner text, which travels in clear. */
  compatOwnerTakeover: switchText,
  /** Accepts key rotations whose signature does not cover the new key, from nodes that never registered signed. */
  compatUnboundRotation: switchText,
  /** Lets anybody change anybody's reputation. */
  compatOpenPolo: switchText
})

/** The checked configuration. */
export type RendezvousConfig = typeof RendezvousConfig.Type
