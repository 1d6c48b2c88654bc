/** Where a rendezvous takes WebSockets, for nodes that reach neither its beacon by UDP nor its registry's port. */
import { Effect } from "effect"
import type { WebSocketTarget } from "../../core/net/WebSocketClient.ts"
import * as CompatMessage from "../../protocol/wire/CompatMessage.ts"
import * as LocalNode from "../../protocol/wire/LocalNode.ts"
import type { Card } from "../membership/Roster.ts"
import type { RegistryPins } from "../registry/RegistryPins.ts"
import * as HostAddress from "./HostAddress.ts"
import * as NodeConfig from "./NodeConfig.ts"

/** The two things that a WebSocket leads to. */
export interface Places {
  readonly beacon: WebSocketTarget
  readonly registry: WebSocketTarget
}

/**
 * As the configuration says of home, else at the registry's host; nothing where it says `off`, and nothing for a registry of
 * the reference that nobody has named one of.
 */
export const of = Effect.fnUntraced(function* (
  { proxy, wss }: Pick<NodeConfig.NodeConfig, "wss" | "proxy">,
  { fingerprint, plaintext, registry, slot }: Card,
  pins: RegistryPins
): Effect.fn.Return<Places | undefined> {
  const isGuess = wss === "" || slot !== LocalNode.HOME_SLOT
  if (wss === NodeConfig.WSS_OFF || (isGuess && plaintext === true)) return undefined
  const base = isGuess ? `wss://${hostOf(registry)}` : wss
  const target = {
    fingerprint: fingerprint ?? (plaintext === true ? undefined : yield* pins.read(registry)),
    proxy,
    isGuess
  }
  return {
    beacon: { ...target, url: at(base, CompatMessage.PATH), protocol: CompatMessage.SUBPROTOCOL },
    registry: { ...target, url: at(base, CompatMessage.REGISTRY_PATH), protocol: CompatMessage.REGISTRY_SUBPROTOCOL }
  }
})

const hostOf = (registry: string): string => {
  const { host } = HostAddress.split(registry)
  return host.includes(":") ? `[${host}]` : host
}

/** The path below what was named, which may be the beacon's whole URL. */
const at = (base: string, path: string): string => {
  const url = new URL(base)
  const prefix = url.pathname.replace(/\/+$/, "")
  url.pathname = `${prefix.endsWith(CompatMessage.PATH) ? prefix.slice(0, -CompatMessage.PATH.length) : prefix}${path}`
  return url.href
}
