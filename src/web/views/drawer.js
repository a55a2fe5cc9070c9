// On narrow screens the list of chats is a drawer over the page; on wide ones it simply stands there.

import { byId } from '../dom.js';

export function mountDrawer() {
	const app = byId('app');
	const opener = byId('open-drawer');
	const sidebar = byId('sidebar');
	const page = byId('page');
	const narrow = matchMedia('(max-width: 767px)');

	const isOpen = () => app.classList.contains('drawer-open');
	const show = (open) => {
		app.classList.toggle('drawer-open', open);
		opener.setAttribute('aria-expanded', String(open));
		sidebar.inert = narrow.matches && !open;
		page.inert = narrow.matches && open;
	};
	const open = () => {
		show(true);
		byId('close-drawer').focus();
	};
	const close = () => {
		if (!isOpen()) return;
		show(false);
		opener.focus({ preventScroll: true });
	};

	opener.addEventListener('click', open);
	byId('close-drawer').addEventListener('click', close);
	byId('overlay').addEventListener('click', close);
	document.addEventListener('keydown', (event) => {
		const isForDialog = document.querySelector('dialog[open]') !== null;
		if (event.key === 'Escape' && !event.defaultPrevented && !isForDialog) close();
	});
	narrow.addEventListener('change', () => show(false));
	show(false);
	return { close };
}
