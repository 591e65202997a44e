import { render } from 'preact';
import '@fontsource-variable/inter/wght.css';
import './style/tokens.css';
import './style/base.css';
import './style/controls.css';
import './style/shell.css';
import './style/tables.css';
import './style/pages.css';
import './style/config.css';
import './style/narrow.css';
import { follow } from './api/live';
import { App } from './app';
import { listenForKeys } from './state/keys';

const root = document.getElementById('app');
if (root) render(<App />, root);
listenForKeys();
void follow();
