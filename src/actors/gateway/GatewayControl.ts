/** How commands talk to a running gateway: one JSON line each way on a socket that only the owner can open. */
import { Schema } from "effect"

/** `map` gives a peer a local address, the one that is asked for or the next; `unmap` takes it back. */
export const Request = Schema.Union([
  Schema.Struct({ op: Schema.Literal("list") }),
  Schema.Struct({ op: Schema.Literal("map"), peer: Schema.String, ip: Schema.optionalKey(Schema.String) }),
  Schema.Struct({ op: Schema.Literal("unmap"), ip: Schema.String })
])
/** What a gateway is asked. */
export type Request = typeof Request.Type

/** One way through, as `gateway list --json` shows it (cli §11). Which members are there depends on its kind. */
export const Mapping = Schema.Struct({
  /** A peer's local address, and the ports that lead to it. */
  local_ip: Schema.optionalKey(Schema.String),
  pilot_addr: Schema.optionalKey(Schema.String),
  peer: Schema.optionalKey(Schema.String),
  ports: Schema.optionalKey(Schema.Array(Schema.Int)),
  /** A single place on this host. */
  local: Schema.optionalKey(Schema.String),
  overlay_port: Schema.optionalKey(Schema.Int),
  self: Schema.optionalKey(Schema.Boolean),
  proxy: Schema.optionalKey(Schema.Boolean),
  /** Datagrams, not connections. */
  udp: Schema.optionalKey(Schema.Boolean),
  open: Schema.Int,
  connections: Schema.Int,
  refused: Schema.Int,
  bytes: Schema.Number,
  problem: Schema.optionalKey(Schema.String)
})
/** One way through. */
export type Mapping = typeof Mapping.Type

/** All ways through, or why the request was refused; `code` is one of the command line's. */
export const Reply = Schema.Union([
  Schema.Struct({
    ok: Schema.Literal(true),
    pid: Schema.Int,
    subnet: Schema.String,
    mappings: Schema.Array(Mapping),
    /** The answer to `map`. */
    mapped: Schema.optionalKey(Schema.Struct({ local_ip: Schema.String, pilot_addr: Schema.String }))
  }),
  Schema.Struct({
    ok: Schema.Literal(false),
    code: Schema.String,
    detail: Schema.String,
    hint: Schema.optionalKey(Schema.String)
  })
])
/** A gateway's answer. */
export type Reply = typeof Reply.Type

/** The socket's name in the state directory. */
export const SOCKET_NAME = "gateway.sock"
