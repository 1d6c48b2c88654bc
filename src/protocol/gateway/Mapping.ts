/** `--map LISTEN=PEER:PORT`: a place on this host, and the port of a peer that is reached there. */
import { Result } from "effect"
import * as Endpoint from "../../core/data/Endpoint.ts"

/** One local port for one port of a peer. */
export interface Mapping {
  readonly listen: Endpoint.Endpoint
  readonly peer: string
  readonly port: number
  /** Datagrams, not connections. */
  readonly isUdp: boolean
}

/** `127.0.0.1:18080=mcp-host:8080`, `udp:15353=mcp-host:5353`, `18080=mcp-host:8080`, `[::1]:18080=0:0000.0000.0002:8080`. */
export const parse = (text: string): Result.Result<Mapping, string> => {
  const [, udp, place = "", peer = "", digits = ""] = /^(udp:)?([^=]+)=(.+):([0-9]{1,5})$/.exec(text) ?? []
  const listen = Endpoint.parse(/^[0-9]+$/.test(place) ? `127.0.0.1:${place}` : place)
  const port = Number(digits)
  return listen === undefined || peer === "" || port === 0 || port > 0xffff
    ? Result.fail(`invalid mapping ${JSON.stringify(text)}: it looks like 127.0.0.1:18080=mcp-host:8080`)
    : Result.succeed({ listen, peer, port, isUdp: udp !== undefined })
}

/** As `parse` reads it. */
export const format = ({ isUdp, listen, peer, port }: Mapping): string =>
  `${isUdp ? "udp:" : ""}${Endpoint.format(listen)}=${peer}:${port}`
