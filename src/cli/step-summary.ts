/** The page that GitHub shows of a step. */
import { appendFileSync } from 'node:fs';
import { environment } from '../config.ts';
import { CliError } from './output.ts';

/** GitHub shows nothing of a page of more than 1 MiB. */
const MAX_TEXT = 256 * 1024;

/** Adds lines that stand as they are; false: this runs in no step. Throws CliError when the page cannot be written. */
export function addToStepSummary(title: string, text: string, language = 'text'): boolean {
  const file = environment('GITHUB_STEP_SUMMARY');
  if (file === null) return false;
  const shown = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}\n… and more: see the log\n` : text;
  // No line of ours is a fence, and a longer one could still not be ended by three marks of theirs.
  const page = `### ${title}\n\n\`\`\`\`\`${language}\n${shown}\`\`\`\`\`\n\n`;
  try {
    appendFileSync(file, page);
  } catch (error) {
    throw new CliError(`GITHUB_STEP_SUMMARY: ${(error as Error).message}`);
  }
  return true;
}
