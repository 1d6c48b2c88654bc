/** Why a node or one of its memberships does not start, each with what to do about it. Pure. */
import type { RegistryError } from "../registry/RegistryClient.ts"
import { NodeError } from "./NodeError.ts"

/** A state directory. */
export const stateUnusable = (home: string, detail: string): NodeError =>
  new NodeError({
    reason: "StateUnusable",
    detail: `cannot use the state directory ${home}: ${detail}`,
    hint: "choose another one with PILOT_HOME, or make this one writable"
  })

/** A UDP socket. */
export const listenFailed = (error: {
  readonly reason: string
  readonly host: string
  readonly port: number
  readonly detail: string
}): NodeError =>
  new NodeError({
    reason: error.reason === "PortInUse" ? "PortInUse" : "ListenFailed",
    detail: `cannot listen on UDP ${error.host}:${error.port}: ${error.detail}`,
    hint: "choose another address with --listen, or :0 for a free port"
  })

/** A registry. */
export const registryFailed = (registry: string, error: RegistryError): NodeError => {
  const detail = `registry ${registry}: ${error.detail}`
  switch (error.reason) {
    case "PinMismatch":
      return new NodeError({
        reason: "RegistryPinMismatch",
        detail,
        hint: "this is not the registry you pinned; compare with what `pilotctl rendezvous status` prints on its host"
      })
    case "NoTls":
      return new NodeError({
        reason: "RegistryNoTls",
        detail,
        hint: "a registry of the reference speaks plain TCP only; if it is one, say so with --registry-plaintext"
      })
    case "Unavailable":
    case "Timeout":
      return new NodeError({
        reason: "RegistryUnavailable",
        detail: `cannot reach registry at ${registry}: ${error.detail}`,
        hint: "start one with: pilotctl rendezvous start, or name another with --registry HOST:PORT"
      })
    default:
      return new NodeError({ reason: "RegistryRefused", detail, hint: "the registry's log says why" })
  }
}

/** Pins or a trust list. */
export const trustUnusable = (path: string, detail: string): NodeError =>
  new NodeError({
    reason: "TrustUnusable",
    detail: `cannot use ${path}: ${detail}`,
    hint: "restore it from a backup; moving it away forgets whom this node trusts"
  })

/** A virtual port. */
export const portTaken = (error: { readonly port: number }): NodeError =>
  new NodeError({
    reason: "PortInUse",
    detail: `virtual port ${error.port} is taken`,
    hint: "this is a bug: report it"
  })
