import { render } from 'preact';
import { App } from './app.tsx';
import { createDashboard, DashboardContext } from './dashboard.ts';
import './styles/page.css';

const root = document.getElementById('app');
if (root === null) throw new Error('the page has no place for it');
render(
  <DashboardContext.Provider value={createDashboard()}>
    <App />
  </DashboardContext.Provider>,
  root,
);
