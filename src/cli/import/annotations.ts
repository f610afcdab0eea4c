/** The annotations by which an import knows its manifests again. */

/** On an ApiSpec: the file or URL that its document was imported from. */
export const SOURCE = 'seal.gateway/import-source';
/** On an ApiSpec: `--prefix`, `--operations` and `--base-url`, as JSON, for the next import. */
export const OPTIONS = 'seal.gateway/import-options';
/** On a ToolWorkflow: the ApiSpec, and method and path of the operation. */
export const OPERATION = 'seal.gateway/import-operation';
/** On both: what was written, field by field (`fingerprint.ts`). */
export const STATE = 'seal.gateway/import-state';
