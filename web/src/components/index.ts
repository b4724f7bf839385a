// SPDX-License-Identifier: Apache-2.0
// All shared pieces under one name.
export * from './asking';
export * from './basics';
export * from './charts';
export * from './dialog';
export * from './icons';
export * from './table';
export * from './filters';
