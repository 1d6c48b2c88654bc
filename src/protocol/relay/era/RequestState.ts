/**
 * The `requestState` that a modern client brings back (mcp §1.5): a name for what waits here, signed, and bound to the
 * peer, the service, the method, the arguments and an instant. The client may be anybody, so nothing in it is believed.
 */
import * as CanonicalJson from "../../../core/data/CanonicalJson.ts"
import * as Json from "../../../core/data/Json.ts"
import * as Secret from "../../../core/data/Secret.ts"
import * as JsonRpcPeek from "../JsonRpcPeek.ts"

/** What the owner of the session lends: randomness and a key that never leaves it. */
export interface Seal {
  /** A text that nobody can guess. */
  readonly random: () => string
  /** A message authentication code, in hexadecimal. */
  readonly sign: (text: string) => string
  /** A hash, in hexadecimal. */
  readonly hash: (text: string) => string
}

/** What a state is bound to. */
export interface Binding {
  readonly peer: string
  readonly service: string
  readonly method: string
  /** `argumentsOf` the request. */
  readonly digest: string
}

/** Why a state is refused. */
export type Refusal = "Foreign" | "Expired"

/** Writes one. `expiresAtMs` is an instant of the same clock as that of `open`. */
export const write = (seal: Seal, binding: Binding, name: string, expiresAtMs: number): string => {
  const expires = String(Math.ceil(expiresAtMs))
  return `${name}.${expires}.${seal.sign(signed(binding, name, expires))}`
}

/** The name in one that was written for this binding and still holds. */
export const open = (
  seal: Seal,
  binding: Binding,
  state: string,
  nowMs: number
): { readonly name: string } | Refusal => {
  const [, name, expires, signature] = /^([0-9a-f]{1,64})\.(\d{1,16})\.([0-9a-f]{1,128})$/.exec(state) ?? []
  if (name === undefined || expires === undefined || signature === undefined) return "Foreign"
  if (!Secret.isSame(signature, seal.sign(signed(binding, name, expires)))) return "Foreign"
  return nowMs > Number(expires) ? "Expired" : { name }
}

/** The hash of everything a request says but for its `_meta` and its answers: a retry must say the same. */
export const digestOf = (seal: Seal, request: Uint8Array): string => {
  const params = Json.parse(JsonRpcPeek.member(request, ["params"]) ?? "{}")
  const said = Json.isObject(params)
    ? Object.fromEntries(Object.entries(params).filter(([key]) => !UNBOUND.has(key)))
    : params
  return seal.hash(CanonicalJson.encode(said ?? null))
}

const signed = ({ digest, method, peer, service }: Binding, name: string, expires: string): string =>
  JSON.stringify([peer, service, method, digest, name, expires])

const UNBOUND: ReadonlySet<string> = new Set(["_meta", "inputResponses", "requestState"])

/** How long a question waits for its answer (mcp §6.6). */
export const LIFETIME_MS = 600_000
