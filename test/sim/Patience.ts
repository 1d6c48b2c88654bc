/**
 * How long a simulation may take of real time before a test gives it up. A loaded machine is no reason to fail: what a
 * simulation does depends on no speed, and one that never ends is ended by its own limit of virtual time.
 */
export const PATIENCE_MS = 300_000
