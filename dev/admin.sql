-- Runs once, as the superuser, in the database `postgres`: a password for whoever comes by the network, and the example's database.

alter role postgres password :'admin_password';
create database orders;
