import { ensureDashboard } from '../../scripts/build-dashboard.js';

/** Builds the dashboard where nobody has yet; `npm test` has, before the first test. */
export const buildDashboard = (): Promise<boolean> => ensureDashboard(process.execPath);
