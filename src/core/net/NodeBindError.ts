/** Why a socket of Node's could not be bound, in our terms. */
import { codeOf, describe } from "./NodeLocalPath.ts"
import { BindError } from "./UdpEndpoint.ts"

/** Where it was to be bound; an `undefined` host is every address. */
export interface Place {
  readonly host: string | undefined
  readonly port: number
}

/** Of what Node has said. */
export const make = ({ host = "", port }: Place, cause: unknown): BindError =>
  new BindError({ reason: REASONS.get(codeOf(cause)) ?? "Other", host, port, detail: describe(cause) })

const REASONS: ReadonlyMap<string, BindError["reason"]> = new Map([
  ["EADDRINUSE", "PortInUse"],
  ["EADDRNOTAVAIL", "AddressNotAvailable"],
  ["EACCES", "PermissionDenied"],
  ["EPERM", "PermissionDenied"]
])
