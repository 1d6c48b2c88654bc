/** A way to a peer: straight to an endpoint, or through the beacon's relay. */
import * as Endpoint from "../core/data/Endpoint.ts"

/** `endpoint` is undefined exactly when the path is relayed. */
export interface Path {
  readonly endpoint: Endpoint.Endpoint | undefined
  readonly relayed: boolean
}

/** Through the beacon in use. */
export const relay: Path = { endpoint: undefined, relayed: true }

/** Straight to an endpoint. */
export const direct = (endpoint: Endpoint.Endpoint): Path => ({ endpoint, relayed: false })

/** The same way. */
export const equals = (a: Path, b: Path): boolean =>
  a.relayed === b.relayed &&
  (a.endpoint === b.endpoint ||
    (a.endpoint !== undefined && b.endpoint !== undefined && Endpoint.equals(a.endpoint, b.endpoint)))

/** For people: `relay` or `host:port`. */
export const format = (self: Path): string => (self.endpoint === undefined ? "relay" : Endpoint.format(self.endpoint))
