/**
 * What one registry allows. The defaults are the safe ones; each weakness of the reference that old nodes may need is
 * one option that names it (architecture, security rule 4).
 */

/** The rules of one registry. */
export interface RegistryPolicy {
  /**
   * `--compat-unsigned-register`: nodes of the February 2026 reference may register without proving their key. Never
   * for a key that once registered signed.
   */
  readonly allowUnsignedRegister: boolean
  /** `--compat-owner-takeover`: an absent, never signed node may be reclaimed under a new key by its owner text. */
  readonly allowOwnerTakeover: boolean
  /** `--compat-unbound-rotation`: `rotate_key` signed over the node id alone, not over the new key. */
  readonly allowUnboundRotation: boolean
  /** `--compat-open-polo`: anybody may change anybody's reputation, as in the reference. */
  readonly allowOpenPolo: boolean
  /** Guards `set_polo_score` and `beacon_register`; without one the first is refused and the second is open. */
  readonly adminToken: string | undefined
  /** Silence after which a node is absent; above three of the newer daemons' 60 s heartbeats (rendezvous §14.8). */
  readonly staleMs: number
  /** How long an absent node keeps its name. */
  readonly nameReservationSeconds: number
}

/** The defaults. */
export const defaults: RegistryPolicy = {
  allowUnsignedRegister: false,
  allowOwnerTakeover: false,
  allowUnboundRotation: false,
  allowOpenPolo: false,
  adminToken: undefined,
  staleMs: 240_000,
  nameReservationSeconds: 7 * 24 * 3600
}
