// A database user for each worker, so that a stolen password reaches only the collections of its worker and the archive, which any
// worker may write. Run it once on the primary, with an admin's credentials and the passwords in the environment:
//
//	MONGO_ORDERS_PASSWORD=… MONGO_OPS_PASSWORD=… mongosh "mongodb://admin@db-1/admin?tls=true" mongodb-users.js
//
// Then set MONGODB_URI=mongodb://orders:PASSWORD@db-1:27017,db-2:27017,db-3:27017/tillstream?replicaSet=shop&tls=true for orders,
// and so on. The user ops, of the operators' command, may write every collection: it repairs, rebuilds and restores.
const shop = db.getSiblingDB("tillstream");

// The archive's lane can run in any worker.
const collections = {orders: ["orders", "archive"], payments: ["payments", "archive"], inventory: ["archive"], notifications: ["archive"]};
const actions = ["find", "insert", "update", "remove", "createIndex", "listIndexes", "collStats"];

const password = (user) => {
  const value = process.env[`MONGO_${user.toUpperCase()}_PASSWORD`];
  if (!value) throw new Error(`set MONGO_${user.toUpperCase()}_PASSWORD`);
  return value;
};
Object.keys(collections).concat("ops").forEach(password); // all of them, before anything is created

for (const [worker, names] of Object.entries(collections)) {
  shop.createRole({
    role: worker,
    privileges: names.map((collection) => ({resource: {db: "tillstream", collection}, actions})),
    roles: [],
  });
  shop.createUser({user: worker, pwd: password(worker), roles: [worker]});
}
shop.createUser({user: "ops", pwd: password("ops"), roles: ["readWrite"]});
